// What the recorder inside a traced process and the tracer have in common: where things lie, and what a record is.
// Plain C for both; program/recorder.S takes the addresses from here too.
//
// Times are CLOCK_REALTIME in nanoseconds. Addresses of sockets in network order, ports in host order.
#pragma once

// The recorder is mapped at the same place in every process, for the seccomp filter, which is older than any of them,
// lets calls pass that are made from INSIDE_CALLED. Programs that choose places by themselves (sanitizers' shadows, Java's
// heaps, whatever has to lie below 4 GB) don't choose this one; the tracer is told by a stop of a call that touches
// its INSIDE_NEIGHBOURHOOD.
#define INSIDE_BASE 0x6a7000000000
#define INSIDE_NEIGHBOURHOOD (INSIDE_BASE & ~0xffffffffff)  // 1 TB from there
#define INSIDE_ENTRY INSIDE_BASE                            // from a stub: rax and the arguments as for a system call
#define INSIDE_CALLED (INSIDE_BASE + 0x102)                 // behind its one `syscall` instruction
#define INSIDE_COPY (INSIDE_BASE + 0x180)  // `rep movsb`: may fault; the tracer then goes on at INSIDE_COPIED
#define INSIDE_COPIED (INSIDE_BASE + 0x182)
#define INSIDE_CODE_BYTES 0x8000
#define INSIDE_ROWS (INSIDE_BASE + 0x8000)      // struct inside_row[INSIDE_CALLS]
#define INSIDE_MAPPED_BYTES 0x10000             // code and rows: readable and executable
#define INSIDE_PRIVATE (INSIDE_BASE + 0x20000)  // struct inside_private: a fork gets its own
#define INSIDE_PRIVATE_BYTES 0x1000
#define INSIDE_SHARED (INSIDE_BASE + 0x30000)  // struct inside_shared: the same in all processes and in the tracer

#ifndef __ASSEMBLER__
#include <linux/types.h>

#include "calls/taken_piece.h"

enum {
  INSIDE_CALLS = 512,
  INSIDE_PIECES = 6,
  INSIDE_VECTORS = 32,        // of a call with more, the tracer is told by a stop
  INSIDE_VECTORS_FILLED = 4,  // and of so many the bytes are taken along
  INSIDE_KEPT_BYTES = 384,
  INSIDE_SLOTS = 4096,
  INSIDE_TABLES = 64,
  INSIDE_DESCRIPTORS = 65536,
  INSIDE_RING_BYTES = 4 << 20,
};
#define INSIDE_NO_CALL (~0U)

// What is to be done at a system call.
enum inside_policy {
  INSIDE_STOPS,      // the tracer is told by a stop
  INSIDE_ON_SOCKET,  // it is recorded if its descriptor is a TCP socket
  INSIDE_MAKES,      // socket(): ... if it makes one
  INSIDE_WAITS,      // ... if the process has one
};
struct inside_row {
  __u8 policy;
  __s8 fd_argument, second_fd_argument;
  __u8 wants_stack;  // so many a second are told by a stop, with the program's stack
  __u8 closes;
  __u8 result_is_fd;
  __u8 asks_socket;  // afterwards its cookie and addresses are asked
  __u8 passes;       // sendmsg, recvmsg: with control data the tracer is told by a stop
  __u8 duplicates;   // fcntl: the same for F_DUPFD
  __u8 keeps;        // what it is given must be taken before it is made
  __u8 piece_count;
  __u16 room;  // bytes that its snippets take at most
  __s8
      opening_flags;  // sendto, sendmsg: the argument with the flags; with MSG_FASTOPEN the tracer is told by a stop. -1: no such call
  __u8 reserved[1];
  struct taken_piece piece[INSIDE_PIECES];
};

struct inside_private {
  __u64 clock;  // the vDSO's clock_gettime(); 0: the system call
  __u32 table;  // which of inside_shared's is its; INSIDE_NO_TABLE: none, every call that the filter names stops
  __u32 reserved;
};
#define INSIDE_NO_TABLE (~0U)

// By thread: the call it is in. A thread's place is its number's lower bits; where another has it, its calls stop.
struct inside_slot {
  __u32 tid;     // 0: nobody's
  __u32 number;  // INSIDE_NO_CALL: in none that is recorded
  __u64 id;      // when it was entered; 0: in none
  __u64 arguments[6];
  __u64 cookie;  // of the socket it acts on; 0: on none
  __u64 frame;   // where the thread's registers are: struct inside_frame
} __attribute__((aligned(64)));

// A thread's registers, as its own code had them; behind it the address in the stub to which the recorder returns,
// and the red zone.
struct inside_frame {
  __u64 r15, r14, r13, r12, rbx, rbp, r9, r8, r10, rdx, rsi, rdi, rax;
};

// What a process's descriptors are, by number: SO_COOKIE of a TCP socket, or one of these. Who doesn't know asks the
// tracer by a stop.
#define INSIDE_UNKNOWN 0
#define INSIDE_OTHER (~0ULL)
struct inside_table {
  __u64 socket[INSIDE_DESCRIPTORS];
  __u32 enabled;  // 0: as if there were no table
  __u32 has_tcp;
  __u32 reserved[14];
};

enum inside_state { INSIDE_BUSY = 1, INSIDE_DONE, INSIDE_PADDING };

// Positions in the ring only grow. Each record begins with a word of eight bytes: its reserved length, with that
// word, and << 32 enum inside_state. What has been taken is cleared.
struct inside_shared {
  __u64 head __attribute__((aligned(128)));  // where the next record is to be
  __u64 stack_second;
  __u32 stacks_this_second;
  __u32 reserved;
  __u64 lost;
  __u64 tail __attribute__((aligned(128)));  // up to where it has been taken
  __u64 taken_at;
  __u64 most_age;   // nanoseconds after `taken_at` that a call stops, so that what is there is taken
  __u32 observing;  // 0: calls are made, and not recorded
  __u32 stacks_a_second;
  struct inside_slot slots[INSIDE_SLOTS] __attribute__((aligned(128)));
  __u64 kept[INSIDE_SLOTS][INSIDE_KEPT_BYTES / 8];  // by slot: what its call was given and writes over
  struct inside_table tables[INSIDE_TABLES];
  __u8 ring[INSIDE_RING_BYTES] __attribute__((aligned(4096)));
};

struct inside_socket {
  __u64 cookie;  // SO_COOKIE; 0: not asked
  __u8 local[16], remote[16];
  __u16 local_port, remote_port;  // 0: none
  __u16 family;
  __u16 reserved;
};

// A piece of the caller's memory: this, and its bytes, filled up to a multiple of eight.
struct inside_snippet {
  __u64 address;
  __u32 length;
  __u32 reserved;
};

struct inside_record {
  __u64 id;  // when it was entered
  __u64 returned_at;
  __u64 arguments[6];
  __s64 result;
  __u64 cookie;  // of the socket it acted on; 0: on none
  __u32 number, tid;
  struct inside_socket socket;  // that it has made, or changed the addresses of
  __u32 snippet_bytes;          // of struct inside_snippet and their bytes, that follow
  __u32 entry_bytes;            // so many of them are of what it was given, the rest of what it has handed back
};
enum { INSIDE_MOST_SNIPPET_BYTES = 4096 };
#endif
