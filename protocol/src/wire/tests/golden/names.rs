//! A serializer that writes nothing: it remembers the names of the types and variants that it meets.

use std::collections::BTreeSet;
use std::fmt;

use serde::ser::{self, Serialize, Serializer};

/// `Type` and `Enum::Variant`, in small letters and without underscores, so that words in JSON match the source.
#[derive(Default)]
pub(super) struct Names(BTreeSet<String>);

/// As names are compared.
pub(super) fn plain(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

impl Names {
    pub(super) fn note(&mut self, value: &impl Serialize) {
        value.serialize(self).expect("nothing can fail");
    }

    pub(super) fn hold(&self, name: &str) -> bool {
        self.0.contains(&plain(name))
    }

    fn meet(&mut self, name: &str) -> &mut Self {
        self.0.insert(plain(name));
        self
    }

    fn variant(&mut self, name: &str, variant: &str) -> &mut Self {
        self.meet(name).meet(&format!("{name}::{variant}"))
    }
}

/// What cannot happen.
#[derive(Debug)]
pub(super) struct Never;

impl fmt::Display for Never {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it cannot happen")
    }
}

impl std::error::Error for Never {}

impl ser::Error for Never {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

macro_rules! plain_values {
    ($($method:ident: $kind:ty),*) => {
        $(fn $method(self, _: $kind) -> Result<(), Never> { Ok(()) })*
    };
}

impl<'n> Serializer for &'n mut Names {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = &'n mut Names;
    type SerializeTuple = &'n mut Names;
    type SerializeTupleStruct = &'n mut Names;
    type SerializeTupleVariant = &'n mut Names;
    type SerializeMap = &'n mut Names;
    type SerializeStruct = &'n mut Names;
    type SerializeStructVariant = &'n mut Names;

    plain_values!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_u8: u8,
        serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32, serialize_f64: f64,
        serialize_i128: i128, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8], serialize_unit_struct: &'static str
    );

    fn serialize_none(self) -> Result<(), Never> {
        Ok(())
    }
    fn serialize_unit(self) -> Result<(), Never> {
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }
    fn serialize_unit_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Never> {
        self.variant(name, variant);
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        value.serialize(self.meet(name))
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        value.serialize(self.variant(name, variant))
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Never> {
        Ok(self)
    }
    fn serialize_tuple(self, _: usize) -> Result<Self, Never> {
        Ok(self)
    }
    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Self, Never> {
        Ok(self.meet(name))
    }
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Never> {
        Ok(self.variant(name, variant))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self, Never> {
        Ok(self)
    }
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Self, Never> {
        Ok(self.meet(name))
    }
    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Never> {
        Ok(self.variant(name, variant))
    }
    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! compounds {
    ($($part:ident $method:ident),*) => {
        $(impl ser::$part for &mut Names {
            type Ok = ();
            type Error = Never;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
                value.serialize(&mut **self)
            }
            fn end(self) -> Result<(), Never> {
                Ok(())
            }
        })*
    };
}

compounds!(SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field);

macro_rules! named_compounds {
    ($($part:ident),*) => {
        $(impl ser::$part for &mut Names {
            type Ok = ();
            type Error = Never;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Never> {
                value.serialize(&mut **self)
            }
            fn end(self) -> Result<(), Never> {
                Ok(())
            }
        })*
    };
}

named_compounds!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for &mut Names {
    type Ok = ();
    type Error = Never;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Never> {
        key.serialize(&mut **self)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        value.serialize(&mut **self)
    }
    fn end(self) -> Result<(), Never> {
        Ok(())
    }
}
