// Ways through the kernel that are recognised by the return addresses on the stack: a few loads, where to have the kernel unwind
// costs microseconds. The reader learns them from samples (trace/bpf/kernel/stack_paths.h).
#pragma once

#include "common.bpf.h"

struct probe_path paths[PROBE_PATHS] = {};
__u32 path_count = 0;      // raised by the reader, when the path is in its place
__s32 samples_wanted = 0;  // set by the reader from time to time

// One piece of work on each processor, so that an address on the stack can be had as a number.
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} stack_places SEC(".maps");

// Verified once for all paths, since it is global; and by itself, so that it asks for what it needs, whoever calls it.
__noinline int path_is(__u64 place, __u32 number) {
  if (!bpf_rdonly_cast || number >= PROBE_PATHS) return 0;
  const struct probe_path* path = &paths[number];
  const __u32 slots = path->slots;
  if (slots == 0) return 0;
  for (__u32 i = 0; i < PROBE_PATH_SLOTS; ++i) {
    if (i >= slots) break;
    const void* at = (const void*)(place + path->offset[i] * sizeof(__u64));
    if ((__u64)CAST(at, struct timespec64)->tv_sec != path->address[i]) return 0;
  }
  return 1;
}

static __always_inline __u64 place_of_stack(void* ctx) {
  const __u32 zero = 0;
  __u64* place = bpf_map_lookup_elem(&stack_places, &zero);
  if (!place) return 0;
  *(void**)place = ctx;
  return *(volatile __u64*)place;
}

// The number, from 1, of the path that leads to this run; 0: none that is known. `ctx`: the arguments, which lie on the stack
// (bpf_trace_run1() and its like).
__noinline int known_path(__u64 place) {
  if (!bpf_rdonly_cast || place == 0) return 0;
  for (__u32 i = 0; i < PROBE_PATHS; ++i) {
    if (i >= path_count) return 0;
    if (path_is(place, i)) return i + 1;
  }
  return 0;
}

static __always_inline void send_path_sample(__u64 place, const __u64* stack, __u64 bytes) {
  if (!bpf_rdonly_cast || samples_wanted <= 0 || place == 0 || bytes > PROBE_SHALLOW_FRAMES * sizeof(__u64)) return;
  __sync_fetch_and_add(&samples_wanted, -1);
  struct probe_path_sample* sample = RESERVE_QUIETLY(probe_path_sample);
  if (!sample) return;  // nothing is lost
  fill_head(&sample->head, PROBE_PATH_SAMPLE);
  __builtin_memcpy(sample->stack, stack, sizeof(sample->stack));
  sample->frames = bytes;
  // Near the end of the stack less of it is there.
  sample->words = 0;
  for (__u32 words = PROBE_WINDOW_WORDS; words > 0; words -= PROBE_WINDOW_WORDS / 8) {
    if (bpf_probe_read_kernel(sample->window, words * sizeof(__u64), (const void*)place)) continue;
    sample->words = words;
    break;
  }
  SUBMIT(sample);
}
