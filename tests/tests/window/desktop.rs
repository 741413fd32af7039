//! A desktop of the test's own on a bus of its own: it has a tray, and shows notifications.

use std::collections::HashMap;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};

use studiovault_lab::lab::{BUS_VARIABLE, Bus};
use zbus::blocking::connection::Builder;
use zbus::blocking::{Connection, MessageIterator, fdo::DBusProxy};
use zbus::message::{Message, Type};
use zbus::zvariant::{OwnedValue, Structure, Value};

use super::LIMIT;

/// Where a sign and its menu stand, and what they speak.
const ITEM: (&str, &str) = ("/StatusNotifierItem", "org.kde.StatusNotifierItem");
const MENU: (&str, &str) = ("/MenuBar", "com.canonical.dbusmenu");
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// What programs do on the desktop.
#[derive(Debug)]
enum Seen {
    /// One wants this sign in the tray.
    Item(String),
    /// A sign is another one now.
    Changed,
    /// One says this, with a body.
    Notice(String, String),
}

/// What a menu is, as the bus tells it: the place of an entry, what is known of it, and the entries below.
type Entry = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);

pub struct Desktop {
    connection: Connection,
    seen: Receiver<Seen>,
    /// The sign in the tray, once there is one.
    item: Option<String>,
    /// What was said so far, with its body.
    pub notices: Vec<(String, String)>,
    bus: Bus,
}

impl Desktop {
    pub fn open() -> Self {
        let bus = Bus::start().expect("a bus");
        let builder = Builder::address(bus.address()).expect("an address");
        let connection = builder.build().expect("the bus takes it");
        let (tell, seen) = channel();
        let messages = MessageIterator::from(&connection);
        let answers = connection.clone();
        std::thread::spawn(move || {
            for message in messages.map_while(Result::ok) {
                answer(&answers, &message, &tell);
            }
        });
        let rule = format!("type='signal',interface='{}'", ITEM.1);
        let rule = rule.as_str().try_into().expect("a rule");
        let daemon = DBusProxy::new(&connection).expect("the bus itself");
        daemon.add_match_rule(rule).expect("signs are heard");
        for name in [
            "org.freedesktop.Notifications",
            "org.kde.StatusNotifierWatcher",
        ] {
            connection.request_name(name).expect("a desktop's name");
        }
        Self {
            connection,
            seen,
            item: None,
            notices: Vec::new(),
            bus,
        }
    }

    /// Lets a program run on this desktop.
    pub fn host<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env(BUS_VARIABLE, self.bus.address())
    }

    /// Waits until the sign in the tray has a title like this.
    pub fn shows(&mut self, holds: impl Fn(&str) -> bool) {
        let mut title = String::new();
        loop {
            if self.item.is_some() {
                title = self.text("Title");
                if holds(&title) {
                    return;
                }
            }
            self.look(&format!("the sign of the tray says {title:?}"));
        }
    }

    /// Waits until somebody says this; the body.
    pub fn hears(&mut self, summary: &str) -> String {
        loop {
            let mut notices = self.notices.iter();
            if let Some((_, body)) = notices.find(|(told, _)| told == summary) {
                return body.clone();
            }
            let told = format!("nobody says {summary:?}, but {:?}", self.notices);
            self.look(&told);
        }
    }

    fn look(&mut self, otherwise: &str) {
        match self.seen.recv_timeout(LIMIT) {
            Ok(Seen::Item(name)) => self.item = Some(name),
            Ok(Seen::Changed) => {}
            Ok(Seen::Notice(summary, body)) => self.notices.push((summary, body)),
            Err(_) => panic!("{otherwise}"),
        }
    }

    fn call<B>(&self, (path, interface): (&str, &str), method: &str, body: &B) -> Message
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let item = self.item.as_deref();
        let answer = self
            .connection
            .call_method(item, path, Some(interface), method, body);
        answer.expect("the sign answers")
    }

    fn property(&self, name: &str) -> OwnedValue {
        let answer = self.call((ITEM.0, PROPERTIES), "Get", &(ITEM.1, name));
        answer.body().deserialize().expect("a value")
    }

    /// A property of the sign that is a text.
    pub fn text(&self, name: &str) -> String {
        self.property(name).try_into().expect("a text")
    }

    /// The sentence that is shown when the sign is pointed at.
    pub fn tooltip(&self) -> String {
        let tooltip: Structure = self.property("ToolTip").try_into().expect("a structure");
        let last = tooltip.fields().last().expect("a description");
        last.downcast_ref().expect("a text")
    }

    /// The picture of the sign.
    pub fn picture(&self) -> Vec<u8> {
        type Pictures = Vec<(i32, i32, Vec<u8>)>;
        let pictures: Pictures = self.property("IconPixmap").try_into().expect("pictures");
        let (width, height, pixels) = pictures.into_iter().next().expect("one");
        assert_eq!(pixels.len() as i32, width * height * 4);
        pixels
    }

    /// Presses an entry of the sign's menu.
    pub fn press(&self, label: &str) {
        let wanted: Vec<&str> = Vec::new();
        let answer = self.call(MENU, "GetLayout", &(0, -1, wanted));
        let body = answer.body();
        let (_, (_, _, entries)): (u32, Entry) = body.deserialize().expect("a menu");
        let entries = entries.into_iter();
        let entries = entries.map(|entry| Entry::try_from(entry).expect("an entry"));
        let entries: Vec<Entry> = entries.collect();
        let named = |entry: &&Entry| entry.1.get("label") == Some(&text_value(label));
        let (place, ..) = entries.iter().find(named).expect("the menu has it");
        self.call(MENU, "Event", &(place, "clicked", Value::from(0), 0u32));
    }
}

fn text_value(text: &str) -> OwnedValue {
    Value::from(text).try_to_owned().expect("a value")
}

/// What a desktop answers; whatever it does not know it refuses.
fn answer(connection: &Connection, message: &Message, tell: &Sender<Seen>) {
    let header = message.header();
    let member = header.member().map_or("", |member| member.as_str());
    if header.message_type() == Type::Signal {
        if header
            .interface()
            .is_some_and(|interface| *interface == ITEM.1)
        {
            // The test may be over.
            let _ = tell.send(Seen::Changed);
        }
        return;
    }
    if header.message_type() != Type::MethodCall {
        return;
    }
    let body = message.body();
    let answered = match member {
        "RegisterStatusNotifierItem" => {
            let _ = tell.send(Seen::Item(body.deserialize().expect("a name")));
            connection.reply(&header, &())
        }
        "Get" => connection.reply(&header, &Value::from(true)),
        "Notify" => {
            let told: Structure = body.deserialize().expect("a notice");
            let text = |at: usize| told.fields()[at].downcast_ref().expect("a text");
            let _ = tell.send(Seen::Notice(text(3), text(4)));
            connection.reply(&header, &1u32)
        }
        _ => connection.reply_error(&header, "org.freedesktop.DBus.Error.UnknownMethod", &member),
    };
    // The bus may be gone with the test.
    let _ = answered;
}
