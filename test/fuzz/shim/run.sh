#!/bin/sh
# run.sh SECONDS: fuzzes the shim's boundary, guided by coverage, with the address and undefined behaviour sanitizers.
# Installs clang from Debian where it is missing. What is found is left in .weft/fuzz and ends the run with status 1;
# what was kept of earlier runs, in test/fuzz/corpus/shim, is run first.
set -eu
cd "$(dirname "$0")/../../.."
seconds=${1:-60}
if ! command -v clang > /dev/null; then
  apt-get -o DPkg::Lock::Timeout=300 update -q
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends \
    clang libclang-rt-14-dev libc6-dev
fi
mkdir -p .weft/fuzz/corpus test/fuzz/corpus/shim
clang -std=c11 -D_GNU_SOURCE -pthread -g -O1 -fno-omit-frame-pointer -w \
  -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
  -Inative -o .weft/fuzz/shim test/fuzz/shim/fuzz.c native/*.c
exec .weft/fuzz/shim -max_total_time="$seconds" -max_len=1001 -timeout=20 -print_final_stats=1 -verbosity=1 \
  -artifact_prefix=.weft/fuzz/ .weft/fuzz/corpus test/fuzz/corpus/shim
