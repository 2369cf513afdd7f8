// SPDX-License-Identifier: GPL-2.0
//! The macro that makes a struct, its table, and its parser out of one description.

/// Describes a nested set once.
///
/// ```text
/// nest! {
///     /// What it is.
///     pub struct DiskConf = 3 "disk_conf" {
///         /// What the field means, its unit.
///         resync_rate: u32 = 8 [mandatory] option(number("resync-rate", 250, 1, 4_194_304));
///     }
/// }
/// ```
///
/// Words in brackets are the fields of [`Flags`](super::Flags). `unmarked` behind the name: the
/// 7.3 driver sends the set without `NLA_F_NESTED`.
macro_rules! nest {
    (
        $(#[$meta:meta])*
        pub struct $name:ident = $set:literal $label:literal $($unmarked:ident)? {
            $(
                $(#[$field_meta:meta])*
                $field:ident: $ty:ty = $number:literal
                $([$($flag:ident)*])? $(option($option:expr))?;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $ty, )*
        }

        impl $name {
            const FIELDS: &'static [$crate::genl::Field] = &[$(
                $crate::genl::Field {
                    number: $number,
                    name: stringify!($field),
                    kind: <$ty as $crate::genl::Value>::KIND,
                    flags: $crate::genl::Flags {
                        $($($flag: true,)*)?
                        ..$crate::genl::nest::NO_FLAGS
                    },
                    option: nest!(@option $($option)?),
                },
            )*];
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: nest!(@default $ty, $($option)?), )* }
            }
        }

        impl $crate::genl::Nest for $name {
            const SET: $crate::genl::Set = $crate::genl::Set {
                number: $set,
                name: $label,
                marked: nest!(@marked $($unmarked)?),
                fields: Self::FIELDS,
            };

            fn take(
                &mut self,
                attr: &$crate::genl::Attr<'_>,
            ) -> Result<(), $crate::genl::AttrError> {
                match attr.number() {
                    $( $number => self.$field = $crate::genl::Value::get(attr)?, )*
                    _ => return Err(attr.unknown()),
                }
                Ok(())
            }

            fn put_fields(
                &self,
                writer: &mut $crate::genl::Writer<'_>,
            ) -> Result<(), $crate::genl::Overflow> {
                $({
                    const FLAGS: $crate::genl::Flags = $crate::genl::Flags {
                        $($($flag: true,)*)?
                        ..$crate::genl::nest::NO_FLAGS
                    };
                    let raw_type = writer.field_type($number, FLAGS.mandatory);
                    if FLAGS.sensitive && writer.audience() == $crate::genl::Audience::Public {
                        writer.put_text(raw_type, &[])?;
                    } else {
                        $crate::genl::Value::put(&self.$field, raw_type, writer)?;
                    }
                })*
                Ok(())
            }

            fn reset(&mut self) {
                let fresh = Self::default();
                $({
                    const FLAGS: $crate::genl::Flags = $crate::genl::Flags {
                        $($($flag: true,)*)?
                        ..$crate::genl::nest::NO_FLAGS
                    };
                    if !FLAGS.required && !FLAGS.invariant {
                        self.$field = fresh.$field;
                    }
                })*
            }

            fn number(&self, field: u16) -> Option<i64> {
                match field {
                    $( $number => $crate::genl::Value::number(&self.$field), )*
                    _ => None,
                }
            }

            fn text(&self, field: u16) -> Option<&[u8]> {
                match field {
                    $( $number => $crate::genl::Value::text(&self.$field), )*
                    _ => None,
                }
            }
        }
    };
    (@option) => { None };
    (@option $option:expr) => { Some($option) };
    (@default $ty:ty,) => { <$ty as Default>::default() };
    (@default $ty:ty, $option:expr) => {{
        const OPTION: $crate::config::option::OptionSpec = $option;
        <$ty as $crate::genl::Value>::from_default(OPTION.default_number())
    }};
    (@marked) => { true };
    (@marked unmarked) => { false };
}
pub(crate) use nest;
