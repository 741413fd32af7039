//! What one Rust file contains, as flat lists the rules can loop over.
//! One walk over the syntax tree gathers everything; it knows which parts are test code, and judges nothing.

mod tokens;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A function or method with a body, or declared in a trait.
pub(super) struct Function {
    pub name: String,
    pub line: usize,
    /// From `fn` to the closing brace, both included.
    pub lines: usize,
    /// Without `self`.
    pub arguments: usize,
    /// Names of the arguments that are plain `bool`.
    pub bools: Vec<String>,
    /// Declared `pub`, without a restriction.
    pub public: bool,
    /// Its signature is given by a trait of somebody else.
    pub in_trait_impl: bool,
}

/// A struct, or an enum variant with named fields.
pub(super) struct Record {
    pub name: String,
    pub line: usize,
    pub fields: usize,
    /// The traits in its `#[derive(...)]`, or in that of its enum.
    pub derives: Vec<String>,
}

/// Something with a name at a line.
pub(super) struct Named {
    pub name: String,
    pub line: usize,
    pub in_test: bool,
}

/// A path as it is written, `use` trees spelled out: `std::fs::read`.
pub(super) struct PathUse {
    pub segments: Vec<String>,
    pub line: usize,
    pub in_test: bool,
}

#[derive(Default)]
pub(super) struct Facts {
    pub functions: Vec<Function>,
    pub records: Vec<Record>,
    pub type_names: Vec<Named>,
    pub method_calls: Vec<Named>,
    pub macros: Vec<Named>,
    pub attributes: Vec<Named>,
    pub paths: Vec<PathUse>,
    /// Lines inside inline `#[cfg(test)] mod` blocks.
    pub inline_test_lines: usize,
    in_test: bool,
    in_trait_impl: bool,
}

impl Facts {
    pub(super) fn of(text: &str) -> syn::Result<Self> {
        let file = syn::parse_file(text)?;
        let mut facts = Facts::default();
        facts.visit_file(&file);
        Ok(facts)
    }

    fn within_tests(&mut self, is_test: bool, walk: impl FnOnce(&mut Self)) {
        let outer = self.in_test;
        self.in_test |= is_test;
        walk(self);
        self.in_test = outer;
    }

    fn add_function(&mut self, signature: &syn::Signature, whole: Span, public: bool) {
        let typed = signature.inputs.iter().filter_map(|input| match input {
            syn::FnArg::Typed(argument) => Some(argument),
            syn::FnArg::Receiver(_) => None,
        });
        let bools = typed
            .clone()
            .filter(|argument| is_bool(&argument.ty))
            .map(|argument| argument_name(&argument.pat));
        let line = signature.fn_token.span.start().line;
        self.functions.push(Function {
            name: signature.ident.to_string(),
            line,
            lines: whole.end().line + 1 - line,
            arguments: typed.clone().count(),
            bools: bools.collect(),
            public,
            in_trait_impl: self.in_trait_impl,
        });
    }

    fn add_record(&mut self, name: &syn::Ident, fields: &syn::Fields, derives: &[String]) {
        self.records.push(Record {
            name: name.to_string(),
            line: name.span().start().line,
            fields: fields.len(),
            derives: derives.to_vec(),
        });
    }

    fn add_type(&mut self, name: &syn::Ident) {
        let named = self.named(name.to_string(), name.span());
        self.type_names.push(named);
    }

    fn named(&self, name: String, span: Span) -> Named {
        Named {
            name,
            line: span.start().line,
            in_test: self.in_test,
        }
    }

    fn add_use_tree(&mut self, before: &mut Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_use_tree(before, &path.tree);
                before.pop();
            }
            syn::UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|item| self.add_use_tree(before, item)),
            syn::UseTree::Name(leaf) => self.add_use_leaf(before, &leaf.ident),
            syn::UseTree::Rename(leaf) => self.add_use_leaf(before, &leaf.ident),
            syn::UseTree::Glob(star) => self.add_path(before.clone(), star.span()),
        }
    }

    fn add_use_leaf(&mut self, before: &[String], leaf: &syn::Ident) {
        let segments = before.iter().cloned().chain([leaf.to_string()]).collect();
        self.add_path(segments, leaf.span());
    }

    fn add_path(&mut self, segments: Vec<String>, span: Span) {
        self.paths.push(PathUse {
            segments,
            line: span.start().line,
            in_test: self.in_test,
        });
    }
}

impl<'ast> Visit<'ast> for Facts {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = is_test_only(&module.attrs);
        if is_test && !self.in_test && module.content.is_some() {
            let first = module.attrs.first().map_or(module.span(), Spanned::span);
            self.inline_test_lines += module.span().end().line + 1 - first.start().line;
        }
        self.within_tests(is_test, |facts| visit::visit_item_mod(facts, module));
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        let outer = std::mem::replace(&mut self.in_trait_impl, false);
        self.add_function(
            &function.sig,
            function.block.span(),
            is_public(&function.vis),
        );
        self.within_tests(is_test_only(&function.attrs), |facts| {
            visit::visit_item_fn(facts, function)
        });
        self.in_trait_impl = outer;
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let outer = std::mem::replace(&mut self.in_trait_impl, block.trait_.is_some());
        self.within_tests(is_test_only(&block.attrs), |facts| {
            visit::visit_item_impl(facts, block)
        });
        self.in_trait_impl = outer;
    }

    fn visit_impl_item_fn(&mut self, method: &'ast syn::ImplItemFn) {
        self.add_function(&method.sig, method.block.span(), is_public(&method.vis));
        self.within_tests(is_test_only(&method.attrs), |facts| {
            visit::visit_impl_item_fn(facts, method)
        });
    }

    fn visit_trait_item_fn(&mut self, method: &'ast syn::TraitItemFn) {
        self.add_function(&method.sig, method.span(), false);
        visit::visit_trait_item_fn(self, method);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.add_type(&item.ident);
        self.add_record(&item.ident, &item.fields, &derives(&item.attrs));
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.add_type(&item.ident);
        let derives = derives(&item.attrs);
        for variant in &item.variants {
            self.add_record(&variant.ident, &variant.fields, &derives);
        }
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.add_type(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.add_type(&item.ident);
        visit::visit_item_type(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.within_tests(is_test_only(&item.attrs), |facts| {
            facts.add_use_tree(&mut Vec::new(), &item.tree)
        });
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let named = self.named(call.method.to_string(), call.method.span());
        self.method_calls.push(named);
        visit::visit_expr_method_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add_path(
            path.segments
                .iter()
                .map(|segment| segment.ident.to_string())
                .collect(),
            path.span(),
        );
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let Some(name) = attribute.path().segments.last() {
            let named = self.named(name.ident.to_string(), attribute.span());
            self.attributes.push(named);
        }
        visit::visit_attribute(self, attribute);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let Some(name) = call.path.segments.last() {
            let named = self.named(name.ident.to_string(), call.path.span());
            self.macros.push(named);
        }
        self.add_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

/// `#[test]`, `#[tokio::test]` or a `#[cfg(...)]` that asks for `test`.
fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let asks_for_test = || match &attribute.meta {
            syn::Meta::List(list) => tokens::asks_for_test(list.tokens.clone()),
            _ => false,
        };
        let name = attribute.path().segments.last();
        name.is_some_and(|name| name.ident == "test" || (name.ident == "cfg" && asks_for_test()))
    })
}

fn derives(attributes: &[syn::Attribute]) -> Vec<String> {
    let mut names = Vec::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
    {
        let parsed = attribute.parse_nested_meta(|meta| {
            names.extend(
                meta.path
                    .segments
                    .last()
                    .map(|segment| segment.ident.to_string()),
            );
            Ok(())
        });
        if parsed.is_err() {
            continue;
        }
    }
    names
}

fn is_public(visibility: &syn::Visibility) -> bool {
    matches!(visibility, syn::Visibility::Public(_))
}

fn is_bool(kind: &syn::Type) -> bool {
    matches!(kind, syn::Type::Path(path) if path.path.is_ident("bool"))
}

fn argument_name(pattern: &syn::Pat) -> String {
    match pattern {
        syn::Pat::Ident(name) => name.ident.to_string(),
        _ => "_".to_owned(),
    }
}
