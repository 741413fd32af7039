//! A machine that starts again, from its own disk or from a copy of it.

use super::*;
use crate::log::Admission;

/// A log as it is read from a disk.
fn read(disk: &Disk) -> LogIndex {
    let mut log = LogIndex::default();
    for bundle in disk {
        log.hold(bundle);
        log.apply(bundle);
    }
    log
}

fn write(engine: &mut Engine, disk: &mut Disk, id: u8) {
    for input in [a_write(id), Input::Tick] {
        let writes = engine.handle(at(0), input).writes;
        keep(engine, disk, writes);
    }
}

#[test]
fn two_copies_of_a_disk_write_on_in_epochs_of_their_own() {
    let mut before = Disk::new();
    let mut first = machine(1, 101, LogIndex::default(), &[1]);
    write(&mut first, &mut before, 1);
    assert_eq!(before.len(), 1);
    let mut elsewhere = read(&before);
    for (run, id) in [(102, 2), (103, 3)] {
        let mut disk = before.clone();
        let mut copy = machine(1, run, read(&disk), &[1]);
        write(&mut copy, &mut disk, id);
        let written = disk.last().expect("it wrote");
        assert_eq!(elsewhere.judge(written), Admission::Fresh, "run {run}");
        elsewhere.hold(written);
    }
}

/// The engine is built anew from the disk within a run when a write fails, and a copy of the machine may have written more meanwhile.
#[test]
fn an_epoch_goes_on_in_its_own_chain_after_the_disk_failed_beside_a_longer_branch() {
    let mut disk = Disk::new();
    let mut before = machine(1, 101, LogIndex::default(), &[1]);
    write(&mut before, &mut disk, 1);
    let mut beside = disk.clone();
    let mut copy = machine(1, 103, read(&beside), &[1]);
    (2..5).for_each(|id| write(&mut copy, &mut beside, id));
    let mut first = machine(1, 102, read(&disk), &[1]);
    write(&mut first, &mut disk, 5);
    disk.extend(beside.drain(1..));
    let mut anew = machine(1, 102, read(&disk), &[1]);
    let held = read(&disk);
    write(&mut anew, &mut disk, 6);
    let written = disk.last().expect("it wrote");
    assert_eq!(written.first(), 3, "after its own second command");
    assert_eq!(held.judge(written), Admission::Fresh);
}
