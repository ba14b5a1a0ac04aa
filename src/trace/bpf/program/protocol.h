// What the kernel's half of the probe hands to the program through the ring buffers: one struct a kind, plain C for both.
// Times are CLOCK_MONOTONIC in nanoseconds (bpf_ktime_get_ns()). Addresses in network order, ports in host order.
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif
#include "calls/taken_piece.h"
#include "trace/machine/dwarf_registers.h"

enum probe_kind {
  PROBE_CALL_ENTERED = 1,
  PROBE_CALL_RETURNED,
  PROBE_USER_STACK,
  PROBE_SEGMENT,
  PROBE_STATE,
  PROBE_RESET_SENT,
  PROBE_RESET_RECEIVED,
  PROBE_SOCKET_ERROR,
  PROBE_DROP,
  PROBE_SIGNAL,
  PROBE_FORK,
  PROBE_EXEC,
  PROBE_EXIT,
  PROBE_DESTROYED,
  PROBE_GONE,       // PROBE_DESTROYED of a socket that has been told of: struct probe_gone
  PROBE_CALL_MADE,  // entry and return in one: struct probe_call, whose head tells the return and whose `call` the entry
  PROBE_OPERATION_SUBMITTED,  // io_uring: struct probe_call, whose `arguments` are enum probe_operation_field
  PROBE_OPERATION_COMPLETED,
  PROBE_MAPPING,
  PROBE_PATH_SAMPLE,
  PROBE_CALLS_REPEATED,  // by the reader, not the kernel's half: struct probe_repeated
};

// What a probe_call of an operation has in `arguments`: fields of its submission queue entry (struct io_uring_sqe).
enum probe_operation_field {
  OPERATION_FD,
  OPERATION_ADDRESS,  // addr, splice_off_in
  OPERATION_LENGTH,
  OPERATION_FLAGS,   // the operation's own: msg_flags, accept_flags, poll32_events, splice_flags
  OPERATION_OFFSET,  // off, addr2
  OPERATION_REST,    // ioprio; << 16: IOSQE_* flags; << 32: file_index, splice_fd_in, addr_len
};

enum {
  PROBE_STACK_FRAMES = 28,    // the kernel's, behind a segment; more were never needed to tell its cause
  PROBE_SHALLOW_FRAMES = 16,  // nor more than these, where no tunnel or bridge lies between the socket and the device
  PROBE_PATHS = 64,
  PROBE_PATH_SLOTS = 24,
  PROBE_WINDOW_WORDS = 256,
  PROBE_SNIPPETS = 6,
  PROBE_SNIPPET_BYTES = 64,
  PROBE_USER_STACK_BYTES = 8192,
  PROBE_SYSCALLS = 512,
  PROBE_OPERATIONS = 64,
  PROBE_PIECES = 6,
  PROBE_PATH_BYTES = 1024,
  PROBE_CALL_PLACES = 4096,
  PROBE_RINGS = 32,  // at most; a power of two
};
#define PROBE_NO_CALL (~0U)

// What makes a segment leave, where the call that the running thread is in and the socket's state leave but one answer.
enum probe_direct {
  PROBE_NOT_DIRECT,
  PROBE_DIRECT_SEND,
  PROBE_DIRECT_CONNECT,
  PROBE_DIRECT_SHUTDOWN,
  PROBE_DIRECT_CLOSE
};

// probe_head.flags.
enum {
  PROBE_EXITING = 1,  // PROBE_STATE (for who watches lives), PROBE_SEGMENT: the running process is ending (PF_EXITING)
  PROBE_IN_CALL = 4,  // PROBE_STATE, PROBE_GONE (for who watches lives): the running process is in a call on the socket
  PROBE_IN_CGROUP = 16,  // with PROBE_IN_CALL: and it is in the control group that is asked for, or below
  PROBE_ON_SECOND = 8,   // calls entered, operations submitted: the socket is the second descriptor
  PROBE_BRIEF =
      2,  // calls, PROBE_STATE, PROBE_SEGMENT: of its socket, which has been told whole, only `pointer` is there
};

struct probe_head {
  __u64 at_ns;
  __u8 kind;
  __u8 flags;
  __u16 reserved;
  __u32 tid;  // whoever was running: only calls, signals and ends are known to be its own doing
  __u32 tgid;
  __u32 reserved2;
};

struct probe_socket {
  __u64 cookie;  // SO_COOKIE; 0: none yet
  __u64 netns;   // SO_NETNS_COOKIE
  __u8 local[16], remote[16];
  __u16 local_port, remote_port;
  __u16 family;   // AF_INET, AF_INET6; 0: no socket
  __u8 state;     // enum of include/net/tcp_states.h
  __u8 owned;     // a process is in a call on it (sk_lock.owned)
  __u64 pointer;  // of the kernel's struct sock: a key until PROBE_DESTROYED
};
// What a PROBE_BRIEF record has less: all but the last member.
enum { PROBE_BRIEF_SAVES = sizeof(struct probe_socket) - sizeof(__u64) };

struct probe_segment_facts {
  __u32 seq, ack;
  __u32 length;
  __u8 flags;  // TCP flags byte: CWR ECE URG ACK PSH RST SYN FIN
  __u8 reserved[3];
};

// A piece of the caller's memory.
struct probe_snippet {
  __u64 address;
  __u32 length;
  __u32 reserved;
  __u8 bytes[PROBE_SNIPPET_BYTES];
};

// Sent with as many snippets as `snippets` says, the last one cut to its length.
struct probe_call {
  struct probe_head head;
  struct probe_socket socket;
  __u64 call;  // unique among the thread's: when it was entered
  __u64 arguments[6];
  __s64 result;
  __u32 number;      // of the system call; io_uring operations: PROBE_SYSCALLS + opcode
  __u32 references;  // of the open file description; 0: not asked
  __u32 snippets;
  __u32 completion;  // PROBE_OPERATION_COMPLETED: IORING_CQE_F_*
  struct probe_snippet snippet[PROBE_SNIPPETS];
};

// So many calls like the one of the record before came right before that one (trace/repeated_calls.h). The head tells the last one's return.
struct probe_repeated {
  struct probe_head head;
  __u64 call;  // of the record before
  __u64 count;
  __u64 since_ns;  // the first one's entry
};

// Which of the descriptors that it is given a call closes.
enum probe_closes {
  PROBE_CLOSES_NONE,
  PROBE_CLOSES_ITS_OWN,  // close()
  PROBE_CLOSES_ANOTHER,  // dup2(), dup3(): what the second number stood for
  PROBE_CLOSES_SEVERAL,  // close_range(), execve(): those that it finds
};

// The call that a thread is in: what `places` and the map `calls` hold.
struct call_state {
  __u64 id;  // time of entry
  __u64 socket;
  __u64 arguments[6];
  __u32 number;  // PROBE_NO_CALL: it is in none
  __u32 tgid;
  __u16 closes;  // enum probe_closes
  __u16 told;    // its entry
  __u16 held;    // recvmsg: whether it matters (a TCP socket has been passed) is known at its return
  __u16
      closed_by;  // 1 + the number of a call that has closed the descriptor and returned; what it set going may yet come
};

struct call_place {
  __u32 tid;     // whose it is; 0: nobody's
  __u32 shared;  // whether other threads that it would be the place of have been in `calls`
  struct call_state state;
};

// Where a socket of interest stands, by its address.
struct socket_place {
  __u64 taken_by;       // its address plus enum socket_interest; 0: nobody
  __u64 others_hashed;  // sockets whose place this is too have been in the map `sockets`
};

struct probe_user_stack {
  struct probe_head head;
  __u64 call;
  __u64 registers[MACHINE_DWARF_REGISTERS];  // DWARF order
  __u64 address;
  __u32 length;
  __u32 reserved;
  __u8 bytes[PROBE_USER_STACK_BYTES];
};

struct probe_segment {
  struct probe_head head;
  struct probe_socket socket;  // family 0: none; then the addresses are the segment's
  struct probe_segment_facts facts;
  __u64 call;  // in progress on this socket by the running thread; 0: none
  __s32 frames;
  __u8 direct;  // enum probe_direct; then no stack was taken
  __u8 path;    // 0: none; else the path of that number, from 1, was recognised, and no stack was taken
  __u8 reserved[2];
  __u64 stack[PROBE_STACK_FRAMES];  // sent with as many bytes as `frames` says
};

// The kernel's stack as it lay in memory, from the hook's arguments outwards, and what bpf_get_stack() made of it: from these
// the reader learns at which distance from the arguments each return address lies.
struct probe_path_sample {
  struct probe_head head;
  __s32 frames;  // bytes of `stack`, as probe_segment has them
  __u32 words;   // of `window`
  __u64 stack[PROBE_SHALLOW_FRAMES];
  __u64 window[PROBE_WINDOW_WORDS];
};

// A way through the kernel to on_segment(): the return addresses that lie on the stack there, by their distance in words from the
// hook's arguments. The size of a frame is settled by the place in the code that the return address names, so as long as all of
// them lie where they lay before, they are the same frames.
struct probe_path {
  __u32 slots;
  __u32 offset[PROBE_PATH_SLOTS];  // the outermost first: it is what differs
  __u64 address[PROBE_PATH_SLOTS];
};

// Sent as far as there is something to tell: up to `comm` always, `comm` where the running process is in a call on the socket, the rest
// at the socket's end; those two for who watches lives only.
struct probe_state {
  struct probe_head head;
  struct probe_socket socket;
  __u32 old_state, new_state;
  char comm[16];         // of the process
  __u64 bytes_sent;      // acknowledged by the peer, its own SYN and FIN among them
  __u64 bytes_received;  // taken in order
  __u32 retransmissions;
  __u32 srtt_us;
};

struct probe_destroyed {
  struct probe_head head;
  struct probe_socket socket;
};

// `comm` is sent for who watches lives, where the running process is in a call on the socket: it closes what was reset before.
struct probe_gone {
  struct probe_head head;
  __u64 socket;   // its address
  char comm[16];  // of the process
};

// Sent with as much of the stack as `frames` says.
struct probe_reset {
  struct probe_head head;
  struct probe_socket socket;
  __u64 call;
  __u32 reason;  // ~0: this kernel does not say
  __u32 active;
  __u32 unread;             // active: bytes that were received in order and never read
  __u8 linger2_below_zero;  // active: TCP_LINGER2
  __u8 reserved[3];
  __s32 frames;    // bytes of `stack`: for who watches lives, of a reset that is sent; else 0
  __u32 answered;  // not active: bytes of payload in the segment that is answered; ~0: not known
  __u64 stack[PROBE_SHALLOW_FRAMES];
};

struct probe_error {
  struct probe_head head;
  struct probe_socket socket;
  __s32 error;
  __u32 send_window;     // what the peer would take
  __u32 probes_waiting;  // window and keep-alive probes that nothing has answered
  __u32 reserved;
};

struct probe_drop {
  struct probe_head head;
  struct probe_socket socket;  // addresses as the end has them that the segment is for: its source is the remote one
  struct probe_segment_facts facts;
  __u64 location;
  __u32 reason;
  __u32 sent;  // dropped on its way out: then the addresses are as its sender has them
};

struct probe_signal {
  struct probe_head head;
  __s32 signal;
  __u32 delivered;  // 0: generated
  __u32 to_tid, to_tgid;
  __s32 result;   // generated: enum of include/trace/events/signal.h: 0 delivered, 1 ignored, 2 already pending
  __s32 code;     // si_code
  __u32 blocked;  // generated: by the thread's mask, it stays pending
  __u32 reserved;
  __u64 handler;  // delivered: 0 default, 1 ignore, else a handler
  __u64 call;
};

struct probe_process {
  struct probe_head head;
  __u32 child_tid, child_tgid;  // fork
  __u32 parent;                 // fork
  __u32 exit_code;              // exit, as wait(2) has it
  __u64 call;                   // exit: the call it never came back from
  __u32 threads;                // exit: that are left of the process
  __u32 reserved;
  char comm[16];
};

// Code of a file that a traced process has mapped: what its addresses mean, also when it is gone by the time they are read.
struct probe_mapping {
  struct probe_head head;
  __u64 start, length;
  __u64 offset;      // in the file
  __u64 file_bytes;  // its size
  __u64 inode;
  __u64 interpreter;  // of a program: where its dynamic linker is; 0: none
  __u32 is_program;   // by exec: `start` is that of the first executable segment, `length` and `offset` are not told
  __u32 path_bytes;
  __u32 device;  // of its file system, as the kernel has it
  __u32 unused;
  char path[PROBE_PATH_BYTES];  // names, each ended by NUL, from the file's to the root's
};

// Settings of a system call, from calls/call_table.
struct probe_syscall {
  __u8 wanted, only_on_tcp, wants_stack, closes;  // closes: enum probe_closes
  __s8 fd_argument, second_fd_argument;
  __u8 result_is_fd, piece_count;
  __u8 direct;          // enum probe_direct: what it makes leave at once
  __u8 told_at_return;  // entry and return in one record
  __u8 passes;          // sendmsg: a descriptor of a TCP socket may stand in its control data
  __u8 is_passed;       // recvmsg: ... may have come in its control data
  struct taken_piece piece[PROBE_PIECES];
};

struct probe_flow_key {
  __u8 low[16], high[16];
  __u16 low_port, high_port;
  __u32 reserved;
};
struct probe_port_key {
  __u64 netns;
  __u32 port;
  __u32 reserved;
};

// What the probe counts itself; one of each, in the .bss.
struct probe_counters {
  __u64 lost_events;  // a ring was full
  __u64 skipped_stacks;
  // In one network namespace, whoever's they are: held against the kernel's own counters, they tell what the hooks missed.
  __u64 resets_sent;        // Tcp.OutRsts
  __u64 established_ended;  // Tcp.EstabResets: ESTABLISHED or CLOSE-WAIT -> CLOSED
};
