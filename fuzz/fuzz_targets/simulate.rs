//! Files of the topic simulator: any text ends in a result or an error.
#![no_main]
use libfuzzer_sys::fuzz_target;

mod seeds;

const CASES: [&str; 3] = [
    r#"{"name":"case","params":{"yuma3":true,"max_validators":2,"tempo":10},"stake":[60,40,0,0],"permits":[true,true,false,false],"epochs":[{"block":10,"last_step_block":0,"last_update":[9,9,9,9],"reg_block":[0,0,0,0],"weights":[[[2,3],[3,1]],[[2,1],[3,1]],[],[]]}]}"#,
    r#"{"mechanism":"synthesis","name":"weather","inferers":3,"forecasters":1,"reputers":2,"epochs":[{"inferences":[1.0,1.25,null],"forecasts":[[-1,"-0.5",null]],"reports":[{"stake":3,"truth":1.125},{"stake":1,"truth":1.25}]}]}"#,
    r#"{"mechanism":"score","params":{"temperature":0.1},"epochs":[{"submissions":[{"metric":0.9,"level":"proven"},{"metric":0.99,"level":"exact"},null,{"metric":"0.8","level":"proven"}]},{"submissions":[]}]}"#,
];

fuzz_target!(
    init: seeds::write(|| CASES.iter().map(|case| case.as_bytes().to_vec()).collect()),
    |text: &str| {
        let _ = hallmark_mechanisms::simulate(text);
    }
);
