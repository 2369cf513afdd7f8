// SPDX-License-Identifier: GPL-2.0
//! `events2` against lines that drbdsetup-84 printed, from messages that the driver would send.

use super::Printer;
use crate::setup::netlink::Message;
use drbd_core::genl::info::{
    ConnectionInfo, ConnectionStatistics, DeviceInfo, DeviceStatistics, HelperInfo, Notification,
    NotificationType, PeerDeviceInfo, PeerDeviceStatistics, ResourceInfo, ResourceStatistics,
};
use drbd_core::genl::{
    Address, Audience, Context, Header, Nest, Op, RetCode, Style, Text, Writer, NO_MINOR,
};
use drbd_core::state::{Conn, Disk, Role};
use NotificationType::{Call, Change, Create, Destroy, Exists, Response};

/// Builds messages with ascending numbers.
struct Driver {
    seq: u32,
}

impl Driver {
    fn send(
        &mut self,
        op: Op,
        minor: u32,
        context: &Context,
        kind: NotificationType,
        body: &[&dyn Fn(&mut Writer<'_>)],
    ) -> Message {
        let mut buffer = [0; 2048];
        let mut writer = Writer::new(&mut buffer, Style::Kernel, Audience::Public);
        context.put(&mut writer).expect("room");
        let notification = Notification {
            kind,
            continues: false,
        };
        notification.header().put(&mut writer).expect("room");
        for set in body {
            set(&mut writer);
        }
        if kind != Exists {
            self.seq += 1;
        }
        let header = Header::reply(minor, RetCode::NO_ERROR);
        Message::for_test(op, self.seq, header, writer.written())
    }
}

fn put<N: Nest>(set: N) -> impl Fn(&mut Writer<'_>) {
    move |writer| set.put(writer).expect("room")
}

fn context() -> Context {
    Context::resource(Text::new(b"r0").expect("short"))
}

fn connected_context() -> Context {
    let address = Address::new(&[2; 16]).expect("16 bytes");
    context().with_addresses(address, address)
}

fn volume(mut context: Context) -> Context {
    context.volume = Some(0);
    context
}

fn printer(has_statistics: bool) -> Printer {
    Printer::new(None, has_statistics, false, false)
}

fn print(printer: &mut Printer, message: &Message) -> String {
    printer.message(message).expect("own message")
}

#[test]
fn resources() {
    let mut driver = Driver { seq: 2 };
    let mut printer = printer(true);
    let mut resource = |kind, role: Role, res_susp| {
        let info = ResourceInfo {
            res_role: role.into(),
            res_susp,
            ..ResourceInfo::default()
        };
        let figures = ResourceStatistics {
            res_stat_write_ordering: 2,
        };
        let message = driver.send(
            Op::ResourceState,
            NO_MINOR,
            &context(),
            kind,
            &[&put(info), &put(figures)],
        );
        print(&mut printer, &message)
    };
    let lines = [
        resource(Create, Role::Secondary, false),
        resource(Change, Role::Primary, false),
        resource(Change, Role::Primary, true),
        resource(Destroy, Role::Primary, true),
    ];
    let expected = [
        "create resource name:r0 role:Secondary suspended:no write-ordering:flush\n",
        "change resource name:r0 role:Primary\n",
        "change resource name:r0 suspended:user\n",
        "destroy resource name:r0\n",
    ];
    assert_eq!(lines, expected);
}

/// Figures are said each time, the two flags only when they change.
#[test]
fn devices() {
    let mut driver = Driver { seq: 2 };
    let mut printer = printer(true);
    let mut device = |kind, disk: Disk, figures: DeviceStatistics| {
        let info = DeviceInfo {
            dev_disk_state: disk.into(),
        };
        let context = volume(context());
        let message = driver.send(
            Op::DeviceState,
            1,
            &context,
            kind,
            &[&put(info), &put(figures)],
        );
        print(&mut printer, &message)
    };
    let none = DeviceStatistics::default();
    let attaching = DeviceStatistics {
        dev_lower_pending: 1,
        dev_upper_blocked: true,
        ..none.clone()
    };
    let attached = DeviceStatistics {
        dev_size: 262_064,
        dev_al_writes: 8,
        dev_lower_pending: 2,
        dev_al_suspended: true,
        ..none.clone()
    };
    let lines = [
        device(Create, Disk::Diskless, none),
        device(Change, Disk::Attaching, attaching),
        device(Change, Disk::Inconsistent, attached),
    ];
    let expected = [
        "create device name:r0 volume:0 minor:1 disk:Diskless size:0 read:0 written:0 \
         al-writes:0 bm-writes:0 upper-pending:0 lower-pending:0 al-suspended:no blocked:no\n",
        "change device name:r0 volume:0 minor:1 disk:Attaching size:0 read:0 written:0 \
         al-writes:0 bm-writes:0 upper-pending:0 lower-pending:1 blocked:upper\n",
        "change device name:r0 volume:0 minor:1 disk:Inconsistent size:131032 read:0 written:0 \
         al-writes:8 bm-writes:0 upper-pending:0 lower-pending:2 al-suspended:yes blocked:no\n",
    ];
    assert_eq!(lines, expected);
}

/// A change without news prints its bare key, as after a lost link.
#[test]
fn connections() {
    let mut driver = Driver { seq: 2 };
    let mut printer = printer(false);
    let mut connection = |kind, state: Conn, role: Role, context: Context| {
        let info = ConnectionInfo {
            conn_connection_state: state.into(),
            conn_role: role.into(),
        };
        let figures = ConnectionStatistics::default();
        let sets: [&dyn Fn(&mut Writer<'_>); 2] = [&put(info), &put(figures)];
        let message = driver.send(Op::ConnectionState, NO_MINOR, &context, kind, &sets);
        print(&mut printer, &message)
    };
    let lines = [
        connection(Exists, Conn::StandAlone, Role::Unknown, context()),
        connection(
            Change,
            Conn::WFConnection,
            Role::Unknown,
            connected_context(),
        ),
        connection(
            Change,
            Conn::WFReportParams,
            Role::Secondary,
            connected_context(),
        ),
        connection(
            Change,
            Conn::WFReportParams,
            Role::Secondary,
            connected_context(),
        ),
    ];
    let expected = [
        "exists connection name:r0 peer-node-id:0 connection:StandAlone role:Unknown\n",
        "change connection name:r0 peer-node-id:0 conn-name:peer connection:Connecting \
         role:Unknown\n",
        "change connection name:r0 peer-node-id:0 conn-name:peer connection:Connected \
         role:Secondary\n",
        "change connection name:r0 peer-node-id:0 conn-name:peer\n",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn peer_devices() {
    let mut driver = Driver { seq: 2 };
    let mut printer = printer(true);
    let mut peer_device = |kind, state: Conn, user, sent| {
        let info = PeerDeviceInfo {
            peer_repl_state: state.into(),
            peer_disk_state: Disk::UpToDate.into(),
            peer_resync_susp_user: user,
            ..PeerDeviceInfo::default()
        };
        let figures = PeerDeviceStatistics {
            peer_dev_sent: sent,
            ..Default::default()
        };
        let sets: [&dyn Fn(&mut Writer<'_>); 2] = [&put(info), &put(figures)];
        let context = volume(connected_context());
        let message = driver.send(Op::PeerDeviceState, NO_MINOR, &context, kind, &sets);
        print(&mut printer, &message)
    };
    let lines = [
        peer_device(Create, Conn::WFReportParams, 0, 0),
        peer_device(Change, Conn::Connected, 0, 262_064),
        peer_device(Change, Conn::Connected, 1, 264_112),
    ];
    let key = "peer-device name:r0 peer-node-id:0 conn-name:peer volume:0";
    let expected = [
        format!(
            "create {key} replication:Off peer-disk:UpToDate resync-suspended:no \
             received:0 sent:0 out-of-sync:0 pending:0 unacked:0\n"
        ),
        format!(
            "change {key} replication:Established \
             received:0 sent:131032 out-of-sync:0 pending:0 unacked:0\n"
        ),
        format!(
            "change {key} resync-suspended:user \
             received:0 sent:132056 out-of-sync:0 pending:0 unacked:0\n"
        ),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn helpers() {
    let mut driver = Driver { seq: 2 };
    let mut printer = printer(false);
    let mut helper = |kind, minor, context: &Context, helper_status| {
        let helper_name = Text::new(b"fence-peer").expect("short");
        let info = HelperInfo {
            helper_name,
            helper_status,
        };
        let message = driver.send(Op::Helper, minor, context, kind, &[&put(info)]);
        print(&mut printer, &message)
    };
    let lines = [
        helper(Call, NO_MINOR, &connected_context(), 0),
        helper(Response, NO_MINOR, &connected_context(), 1024),
        helper(Call, 1, &volume(connected_context()), 0),
    ];
    let key = "helper name:r0 peer-node-id:0 conn-name:peer";
    let expected = [
        format!("call {key} helper:fence-peer\n"),
        format!("response {key} helper:fence-peer status:1024\n"),
        format!("call {key} volume:0 minor:1 helper:fence-peer\n"),
    ];
    assert_eq!(lines, expected);
}

/// Lost events show; those of other resources are dropped, and `--now` ends the list.
#[test]
fn filters() {
    let mut driver = Driver { seq: 7 };
    let mut only_r1 = Printer::new(Some("r1".to_owned()), false, false, true);
    let mut all = printer(false);
    let mut resource = |kind| {
        let info = ResourceInfo {
            res_role: 2,
            ..ResourceInfo::default()
        };
        driver.send(Op::ResourceState, NO_MINOR, &context(), kind, &[&put(info)])
    };
    let (first, exists, lost, last) = (
        resource(Create),
        resource(Exists),
        resource(Change),
        resource(Change),
    );
    assert_eq!(print(&mut only_r1, &first), "");
    assert!(print(&mut all, &first).starts_with("create "));
    assert!(print(&mut all, &exists).starts_with("exists "));
    drop(lost);
    assert_eq!(
        print(&mut all, &last),
        "- skipped 1\nchange resource name:r0\n"
    );
    let done = Notification {
        kind: Exists,
        continues: false,
    };
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer, Style::Kernel, Audience::Public);
    done.header().put(&mut writer).expect("room");
    let header = Header::reply(NO_MINOR, RetCode::NO_ERROR);
    let message = Message::for_test(Op::InitialStateDone, 1, header, writer.written());
    assert_eq!(print(&mut only_r1, &message), "exists -\n");
}

/// All lines of one change carry the same time.
#[test]
fn timestamps() {
    let mut printer = Printer::new(None, false, true, false);
    let mut text = String::new();
    printer.line(&mut text, "change", "a", true);
    printer.line(&mut text, "change", "b", true);
    printer.line(&mut text, "change", "c", false);
    let stamps: Vec<&str> = text.lines().map(|line| &line[..32]).collect();
    assert!(stamps.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    assert_eq!(stamps[0].as_bytes()[10], b'T');
    assert!(text.lines().all(|line| line[32..].starts_with(" change ")));
    assert_eq!(printer.stamp, None);
}
