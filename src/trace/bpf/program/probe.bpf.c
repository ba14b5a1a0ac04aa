// The kernel's half of the probe: programs on BTF tracepoints that put what they see into one ring buffer.
#include "calls.bpf.h"
#include "common.bpf.h"
#include "processes.bpf.h"
#include "sockets.bpf.h"
#include "uring.bpf.h"

char probe_license[] SEC("license") = "GPL";
