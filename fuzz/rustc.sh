#!/bin/sh
# The compiler, with coverage for libFuzzer as cargo-fuzz asks for it. No sanitizer, which only nightly
# has.
case " $* " in
# Builds and macros run without libFuzzer, and cargo asks for the version.
*" build_script_build "* | *" proc-macro "* | *" -vV "*) exec "$@" ;;
esac
exec "$@" \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing
