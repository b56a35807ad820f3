//! Files of the topic simulator: any text ends in a result or an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = hallmark_mechanisms::simulate(text);
});
