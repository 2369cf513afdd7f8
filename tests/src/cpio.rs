// SPDX-License-Identifier: GPL-2.0
//! Writes a cpio archive in the form that the kernel unpacks as an initramfs ("newc").
//!
//! Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.

/// An archive being made.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const CHAR_DEVICE: u32 = 0o020_000;

impl Archive {
    /// Adds a folder; its parents must have been added before.
    pub fn folder(&mut self, path: &str) {
        self.entry(path, FOLDER | 0o755, &[], (0, 0));
    }

    /// Adds a file with the given permission bits.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entry(path, FILE | mode, content, (0, 0));
    }

    /// Adds a character device.
    pub fn char_device(&mut self, path: &str, major: u32, minor: u32) {
        self.entry(path, CHAR_DEVICE | 0o600, &[], (major, minor));
    }

    /// Ends the archive and gives its bytes.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[], (0, 0));
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8], device: (u32, u32)) {
        self.inode += 1;
        let content_bytes = content.len() as u32;
        let name_bytes = path.len() as u32 + 1;
        // magic, then: ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor
        // rdevminor namesize check.
        self.bytes.extend_from_slice(b"070701");
        for field in [
            self.inode,
            mode,
            0,
            0,
            1,
            0,
            content_bytes,
            0,
            0,
            device.0,
            device.1,
            name_bytes,
            0,
        ] {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        while self.bytes.len() % 4 != 0 {
            self.bytes.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_laid_out_as_the_kernel_reads_it() {
        let mut archive = Archive::default();
        archive.file("ab", 0o644, b"xyz");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("07070100000001000081a4"));
        // 110 bytes of header, the name with its NUL, up to a multiple of four.
        assert_eq!(&bytes[110..116], b"ab\0\0\0\0".get(..6).unwrap());
        assert_eq!(&bytes[116..120], b"xyz\0");
        assert_eq!(bytes.len() % 4, 0);
        assert!(text.contains("TRAILER!!!"));
    }
}
