//! The words of codes and checks: 256 short ones that are told apart over a bad line.
//!
//! A word is one byte; the list is part of the wire, so its order never changes.

/// One word for each byte.
pub const WORDS: [&str; 256] = [
    "acorn", "actor", "agent", "album", "alarm", "almond", "amber", "anchor", "angle", "ankle",
    "apple", "apron", "arch", "arena", "arrow", "artist", "atlas", "attic", "autumn", "axis",
    "badge", "bagel", "baker", "bamboo", "banjo", "barn", "basil", "basket", "beach", "beacon",
    "beaver", "bell", "bench", "berry", "bishop", "bison", "blanket", "blossom", "bonus", "border",
    "bottle", "branch", "brass", "bread", "bridge", "broom", "bucket", "buffalo", "bundle",
    "butter", "button", "cabin", "cactus", "camel", "camera", "canal", "candle", "canoe", "carbon",
    "cargo", "carpet", "castle", "cedar", "cello", "chapel", "cherry", "chimney", "cinema",
    "circle", "citrus", "clover", "cobalt", "coconut", "comet", "copper", "coral", "cotton",
    "cougar", "cradle", "crater", "cricket", "crystal", "curtain", "cymbal", "daisy", "dancer",
    "desert", "diamond", "dolphin", "donkey", "dragon", "drawer", "drum", "eagle", "earth",
    "easel", "echo", "elbow", "elder", "ember", "engine", "envoy", "falcon", "farmer", "feather",
    "fennel", "ferry", "fiddle", "field", "finger", "flame", "flute", "forest", "fossil",
    "fountain", "fox", "frame", "freezer", "galaxy", "garden", "garlic", "ginger", "giraffe",
    "glacier", "globe", "goblet", "gold", "gondola", "granite", "grape", "guitar", "hammer",
    "harbor", "harvest", "hazel", "helmet", "heron", "honey", "horizon", "hotel", "hunter",
    "iceberg", "igloo", "indigo", "insect", "iris", "island", "ivory", "jacket", "jaguar",
    "jasmine", "jelly", "jersey", "jewel", "jigsaw", "jockey", "jungle", "juniper", "kayak",
    "kernel", "kettle", "kitten", "koala", "ladder", "lagoon", "lantern", "laurel", "lemon",
    "lentil", "leopard", "lilac", "linen", "lion", "lizard", "lobster", "locket", "lotus",
    "magnet", "mango", "maple", "marble", "meadow", "medal", "melon", "mirror", "mitten", "monkey",
    "mosaic", "mountain", "muffin", "museum", "mustard", "napkin", "nectar", "needle", "nickel",
    "nutmeg", "oasis", "ocean", "olive", "onion", "opera", "orange", "orbit", "orchid", "otter",
    "oyster", "paddle", "palace", "panda", "paper", "parrot", "pebble", "pepper", "piano",
    "pigeon", "pillow", "pilot", "planet", "plum", "pocket", "polar", "poplar", "potato", "prism",
    "pumpkin", "puzzle", "quartz", "rabbit", "radar", "radio", "raven", "ribbon", "river", "robin",
    "rocket", "saddle", "saffron", "salmon", "satin", "scarf", "shadow", "shell", "silver",
    "spider", "sponge", "summit", "sunset", "swallow", "tiger", "timber", "tulip", "turtle",
    "velvet", "violin", "walnut",
];
