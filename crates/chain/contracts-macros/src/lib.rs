//! The attribute [`macro@contract`]: a struct's fields are its storage layout.

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::{Fields, ItemStruct, parse_macro_input, spanned::Spanned};

/// Makes a struct a storage layout.
///
/// Every field is a handle of `hallmark_contracts::storage` (`Slot<T>`, `Mapping<K, V>`,
/// `StorageVec<T>`, `StorageBytes`, or another struct with this attribute). Fields take slots in
/// order under Solidity's rules: values below 32 bytes share a slot, from its low end, as long as
/// they fit; everything else, and every nested struct, begins a slot.
///
/// It implements `storage::Layout` and adds `layout()`, the place of every field, for golden
/// tests. `#[contract(address = EXPR)]` also adds `new()`, the contract at that address.
#[proc_macro_attribute]
pub fn contract(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut address = None;
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("address") {
            address = Some(meta.value()?.parse::<syn::Expr>()?);
            return Ok(());
        }
        Err(meta.error("expected `address = EXPR`"))
    });
    parse_macro_input!(arguments with parser);
    let item = parse_macro_input!(item as ItemStruct);
    expand(&item, address.as_ref()).unwrap_or_else(|error| error.to_compile_error().into())
}

fn expand(item: &ItemStruct, address: Option<&syn::Expr>) -> syn::Result<TokenStream> {
    let Fields::Named(fields) = &item.fields else {
        return Err(syn::Error::new(item.span(), "a contract has named fields"));
    };
    let name = &item.ident;
    let visibility = &item.vis;
    let idents: Vec<_> = fields
        .named
        .iter()
        .filter_map(|field| field.ident.as_ref())
        .collect();
    let names: Vec<_> = idents.iter().map(ToString::to_string).collect();
    let starts: Vec<_> = idents
        .iter()
        .map(|ident| format_ident!("{ident}_start"))
        .collect();
    let types: Vec<_> = fields.named.iter().map(|field| &field.ty).collect();
    let constructor = address.map(|address| {
        quote! {
            impl #name {
                /// The contract at its address.
                #visibility fn new() -> Self {
                    <Self as crate::storage::Layout>::at(crate::storage::Place::root(#address))
                }
            }
        }
    });
    Ok(quote! {
        #item

        impl crate::storage::Layout for #name {
            const BYTES: usize = 32;
            const SLOTS: u64 = crate::storage::Cursor::START #(.after::<#types>())* .slots();

            fn at(place: crate::storage::Place) -> Self {
                let cursor = crate::storage::Cursor::START;
                #(
                    let #starts = cursor.start::<#types>();
                    let cursor = cursor.after::<#types>();
                )*
                let _ = cursor;
                Self { #(#idents: <#types as crate::storage::Layout>::at(place.field(#starts)),)* }
            }
        }

        impl #name {
            /// Name, slot, offset in the slot and bytes of every field, in order.
            #[cfg(test)]
            #visibility fn layout() -> Vec<(&'static str, u64, usize, usize)> {
                let cursor = crate::storage::Cursor::START;
                let mut fields = Vec::new();
                #(
                    let start = cursor.start::<#types>();
                    let bytes = <#types as crate::storage::Layout>::BYTES;
                    fields.push((#names, start.slot, start.offset, bytes));
                    let cursor = cursor.after::<#types>();
                )*
                let _ = cursor;
                fields
            }
        }

        #constructor
    }
    .into())
}
