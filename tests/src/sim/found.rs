//! Seeds that once found something, with what it was. They stay here for good.

use super::Cast;

/// All of them, in the order in which they were found.
pub const FOUND: &[(u64, Cast, &str)] = &[
    (
        8,
        Cast::Spared,
        "frames overtook the word that their link was open (the simulator's own)",
    ),
    (
        18,
        Cast::Spared,
        "a chain of machines: records of the roster stopped after one link, and bundles of an unknown author were parked for good",
    ),
    (
        23,
        Cast::Spared,
        "the same with three machines and no cloud",
    ),
    (
        35,
        Cast::Spared,
        "a broken link that nobody had noticed still delivered (the simulator's own)",
    ),
    (
        55,
        Cast::Spared,
        "word of a lost link and of the device's return chased each other round the mesh: two million frames in three seconds",
    ),
    (
        73,
        Cast::Spared,
        "a link that broke in silence was taken for calm (the simulator's own)",
    ),
    (
        111,
        Cast::Spared,
        "after a full disk the store showed the state sum of the transaction that it had rolled back",
    ),
    (
        104_636,
        Cast::Spared,
        "after a start a machine took counters that never were for undecided, and the gateway asked the cloud about them for good",
    ),
    (
        106_657,
        Cast::Spared,
        "a link on which words of the bad times were still under way was taken for calm (the simulator's own)",
    ),
    (
        285,
        Cast::Honest,
        "after a full disk a machine went on in the middle of its own log where its clone had written more, and the gateway brought the cloud a broken chain",
    ),
    (
        967,
        Cast::Honest,
        "the same without a cloud: nobody took anything more of that machine",
    ),
    (
        241,
        Cast::Rights,
        "of two admins that shut each other out one was only known to be so by the other (the simulator's own)",
    ),
    (
        388,
        Cast::Rights,
        "a new gateway for one that was switched off was taken for unrest (the simulator's own)",
    ),
    (
        77,
        Cast::Rights,
        "what the cloud had rejected before its author was shut out stayed a side of a conflict at the cloud and at no machine",
    ),
    (
        143,
        Cast::Liar,
        "word of the going of a machine that nobody heard itself went round a ring of machines for good",
    ),
    (
        1_284,
        Cast::Liar,
        "two branches of one log: the cloud's feed named what a machine held otherwise, and the machine's fold stood still",
    ),
    (4_780, Cast::Liar, "the same"),
    (
        3,
        Cast::Liar,
        "what saw something beyond a split was applied before what lies before the split, and showed what it supersedes",
    ),
    (
        106,
        Cast::Liar,
        "a bundle across a known split was not held against what stands where it begins, and an earlier split was found by nobody",
    ),
    (
        107,
        Cast::Liar,
        "a bundle that begins within what a peer holds was not sent to it, and neither of the two heard of the other branch",
    ),
    (
        1_939,
        Cast::Liar,
        "a gateway had the cloud hold thirty commands undecided, each waiting for others; each was asked for again ever more slowly, in \
         the order of their authors, and some had no verdict after two minutes",
    ),
    (
        1_471,
        Cast::Liar,
        "a machine whose disk was full began with a split that it knew and had not acted on, and showed what does not stand",
    ),
    (
        201_310,
        Cast::Honest,
        "who read on a machine whose newest run was not known where they wrote left a hole in what they had read, and which value led its \
         field was decided by what came first",
    ),
    (201_394, Cast::Honest, "the same"),
    (1_405, Cast::Liar, "the same, of a liar's log that split"),
    (
        200_362,
        Cast::Rights,
        "an answer to a question from before the uplink was switched off and on counted for the next one, and the cloud never heard who \
         was taken back",
    ),
    (200_700, Cast::Rights, "the same"),
    (
        7_362,
        Cast::Liar,
        "a bundle lay across a split and left the log; what had seen its first command was applied again when that came back, and \
         without the verdict that had been folded long before",
    ),
    (
        6_411,
        Cast::Liar,
        "an epoch that goes on from beyond a split came before the epoch that it goes on from, and a tip that it covers stayed",
    ),
    (
        200_912,
        Cast::Rights,
        "a key named who was not to be told it, for a revocation that a disk put back had lost for good: whoever it named belonged and \
         was never told",
    ),
    (
        201_795,
        Cast::Rights,
        "an admin that knew of nobody else yet changed the key, which counted as used by all at once: it heard nobody under the one before",
    ),
    (
        204_128,
        Cast::Rights,
        "machines that shut each other out, and died, left nobody to ask whether all was calm (the simulator's own)",
    ),
];
