// Runs inside the traced process, in place of a system call of its: makes the call, and records it in memory that the
// tracer reads.
//
// It stands on the program's own stack, in whatever the program was doing: no libc, no vector registers, no lock, and
// as little stack as can be, for a coroutine's or a signal's may have but some hundred bytes left: what is larger than a
// few words lies in shared memory, in the thread's slot or in the record. What it can't decide it leaves to the tracer, by making the call where the seccomp filter stops it.
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/socket.h>
#include <linux/time.h>

#include "../../protocol.h"

// asm-generic/socket.h, bits/socket.h
enum { SOCKET_LEVEL = 1, COOKIE_OPTION = 57, FAMILY_V4 = 2, FAMILY_V6 = 10, STREAM = 1, STREAM_FLAGS = 02004000 };
enum { ERROR_MOST = 4095, ERROR_FAULT = 14 };

long inside_make(const struct inside_frame* frame);
long inside_call(long number, __u64 a, __u64 b, __u64 c, __u64 d, __u64 e);
__u64 inside_copy(void* to, const void* from, __u64 count);

#define SHARED ((struct inside_shared*)INSIDE_SHARED)
#define MINE ((const volatile struct inside_private*)INSIDE_PRIVATE)
#define ROWS ((const struct inside_row*)INSIDE_ROWS)

static __u64 now(void) {
  struct __kernel_timespec time;
  typedef int clock_function(int clock, struct __kernel_timespec* time);
  clock_function* const clock = (clock_function*)MINE->clock;
  if (!clock || clock(CLOCK_REALTIME, &time) != 0)
    inside_call(__NR_clock_gettime, CLOCK_REALTIME, (__u64)&time, 0, 0, 0);
  return (__u64)time.tv_sec * 1000000000U + (__u64)time.tv_nsec;
}

static __u64 read_word(__u64 address) {
  __u64 word = 0;
  inside_copy(&word, (const void*)address, sizeof(word));
  return word;
}

static __u64 argument(const struct inside_frame* frame, int i) { return (&frame->rdi)[-i]; }
_Static_assert(__builtin_offsetof(struct inside_frame, rdi) - __builtin_offsetof(struct inside_frame, r9) == 5 * 8, "");

// --- What is to be done ---------------------------------------------------------------------------------------------

static volatile __u64* socket_of(struct inside_table* table, __u64 fd) {
  return (__u32)fd < INSIDE_DESCRIPTORS ? &table->socket[(__u32)fd] : 0;
}

#define MSG_FASTOPEN 0x20000000  // include/linux/socket.h

// A decision: to record the call, by the cookie of the socket it acts on (0: on none), or one of these.
#define STOP (~0ULL)
#define PASS (~1ULL)

static __u64 decide_on_socket(const struct inside_row* row, const struct inside_frame* frame,
                              struct inside_table* table) {
  const volatile __u64* const known = socket_of(table, argument(frame, row->fd_argument));
  const __u64 socket = known ? *known : INSIDE_UNKNOWN;
  if (socket == INSIDE_UNKNOWN) return STOP;
  if (row->passes && read_word(frame->rsi + 40) != 0) return STOP;  // msg_controllen
  if (row->opening_flags >= 0 && (argument(frame, row->opening_flags) & MSG_FASTOPEN) != 0) return STOP;
  if (socket != INSIDE_OTHER) {
    const __u32 command = (__u32)frame->rsi;
    return row->duplicates && (command == F_DUPFD || command == F_DUPFD_CLOEXEC) ? STOP : socket;
  }
  if (row->second_fd_argument >= 0) {
    const volatile __u64* const second = socket_of(table, argument(frame, row->second_fd_argument));
    if (!second || *second != INSIDE_OTHER) return STOP;
  }
  return PASS;
}

static int makes_tcp_socket(const struct inside_frame* frame) {
  const __u32 family = (__u32)frame->rdi, type = (__u32)frame->rsi, protocol = (__u32)frame->rdx;
  return (family == FAMILY_V4 || family == FAMILY_V6) && (type & ~STREAM_FLAGS) == STREAM &&
         (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
}

static int has_too_many_vectors(const struct inside_row* row, const struct inside_frame* frame) {
  for (int i = 0; i < row->piece_count; ++i) {
    if (row->piece[i].shape == SHAPE_VECTORS && argument(frame, row->piece[i].length_argument) > INSIDE_VECTORS)
      return 1;
    if (row->piece[i].shape == SHAPE_MESSAGE && read_word(frame->rsi + 24) > INSIDE_VECTORS) return 1;
  }
  return 0;
}

static __u64 decide(const struct inside_row* row, const struct inside_frame* frame, struct inside_table* table) {
  __u64 decision = STOP;
  switch (row->policy) {
    case INSIDE_ON_SOCKET: decision = decide_on_socket(row, frame, table); break;
    case INSIDE_MAKES: decision = makes_tcp_socket(frame) ? 0 : PASS; break;
    case INSIDE_WAITS: decision = table->has_tcp ? 0 : PASS; break;
  }
  return decision != PASS && decision != STOP && has_too_many_vectors(row, frame) ? STOP : decision;
}

// Whether the tracer has been left alone for long enough, or wants this call with the program's stack.
static int is_time_to_stop(const struct inside_row* row, __u64 at) {
  struct inside_shared* const shared = SHARED;
  if (at - __atomic_load_n(&shared->taken_at, __ATOMIC_RELAXED) > shared->most_age) return 1;
  const __u64 waiting =
      __atomic_load_n(&shared->head, __ATOMIC_RELAXED) - __atomic_load_n(&shared->tail, __ATOMIC_RELAXED);
  if (waiting > INSIDE_RING_BYTES / 2) return 1;
  if (!row->wants_stack) return 0;
  const __u64 second = at >> 30;
  if (shared->stack_second != second) shared->stack_second = second, shared->stacks_this_second = 0;
  return __atomic_fetch_add(&shared->stacks_this_second, 1, __ATOMIC_RELAXED) < shared->stacks_a_second;
}

// --- The record -----------------------------------------------------------------------------------------------------

// Null: there is no room.
static __u64* reserve(__u64 length) {
  struct inside_shared* const shared = SHARED;
  __u64 head = __atomic_load_n(&shared->head, __ATOMIC_RELAXED);
  for (;;) {
    const __u64 at = head % INSIDE_RING_BYTES;
    const __u64 padding = at + length > INSIDE_RING_BYTES ? INSIDE_RING_BYTES - at : 0;
    // Negative if what was read of the head is old: then it can't be taken.
    const __s64 used = (__s64)(head - __atomic_load_n(&shared->tail, __ATOMIC_ACQUIRE));
    if (used + (__s64)(padding + length) > INSIDE_RING_BYTES) return 0;
    if (!__atomic_compare_exchange_n(&shared->head, &head, head + padding + length, 1, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED))
      continue;
    __u64* word = (__u64*)(shared->ring + at);
    if (padding) {
      __atomic_store_n(word, padding | (__u64)INSIDE_PADDING << 32, __ATOMIC_RELEASE);
      word = (__u64*)shared->ring;
    }
    __atomic_store_n(word, length | (__u64)INSIDE_BUSY << 32, __ATOMIC_RELAXED);
    return word;
  }
}

// Where the pieces of a call's memory are put. What is taken is what the BPF program takes (calls.bpf.h), but as long
// as it is: there is no verifier to be shown a bound.
struct draft {
  __u8* to;
  __u32 used, room;
  const struct inside_frame* frame;
  __s64 result;
};

// A piece of which not all can be read is left out from there on.
static void take(struct draft* draft, __u64 address, __u64 length) {
  if (address == 0 || length == 0 || draft->used + sizeof(struct inside_snippet) > draft->room) return;
  const __u32 most = draft->room - draft->used - (__u32)sizeof(struct inside_snippet);
  if (length > most) length = most;
  struct inside_snippet* const snippet = (struct inside_snippet*)(draft->to + draft->used);
  length -= inside_copy(snippet + 1, (const void*)address, length);
  snippet->address = address;
  snippet->length = (__u32)length;
  snippet->reserved = 0;
  draft->used += (__u32)sizeof(*snippet) + (((__u32)length + 7) & ~7U);
}

static void take_vectors(struct draft* draft, __u64 address, __u64 count, __u64 most) {
  if (count > INSIDE_VECTORS) count = INSIDE_VECTORS;
  take(draft, address, count * 16);
  for (__u64 i = 0; i < count && i < INSIDE_VECTORS_FILLED; ++i) {
    const __u64 length = read_word(address + i * 16 + 8);
    take(draft, read_word(address + i * 16), length < most ? length : most);
  }
}

static void take_message(struct draft* draft, __u64 address, __u64 most) {
  // struct msghdr: name, namelen, iov, iovlen, control, controllen, flags
  take(draft, address, 56);
  const __u32 name = (__u32)read_word(address + 8);
  take(draft, read_word(address), name < 128 ? name : 128);
  take_vectors(draft, read_word(address + 16), read_word(address + 24), most);
}

static void take_piece(struct draft* draft, const struct taken_piece* piece) {
  const __u64 address = argument(draft->frame, piece->pointer_argument);
  __u64 length = piece->constant;
  if (piece->length_argument == -2) {
    if (draft->result <= 0) return;
    length = (__u64)draft->result * piece->element;
  } else if (piece->length_argument >= 0) {
    length = argument(draft->frame, piece->length_argument);
    if (piece->shape == SHAPE_BYTES) length = (__u64)(__u32)length * piece->element;
  }
  if (address == 0) return;
  if (piece->shape == SHAPE_MESSAGE) return take_message(draft, address, piece->constant);
  if (piece->shape == SHAPE_VECTORS) return take_vectors(draft, address, length, piece->constant);
  if (piece->shape == SHAPE_VALUE_LENGTH) {
    if (length == 0) return;
    take(draft, length, sizeof(__u32));
    length = (__u32)read_word(length);
  }
  take(draft, address, piece->constant != 0 && length > piece->constant ? piece->constant : length);
}

static void take_pieces(struct draft* draft, const struct inside_row* row, int at_exit) {
  for (int i = 0; i < row->piece_count; ++i)
    if (row->piece[i].at_exit == at_exit) take_piece(draft, &row->piece[i]);
}

static void take_address(const __u8* name, __u16* family, __u16* port, __u8* address) {
  __u16 of;
  __builtin_memcpy(&of, name, 2);
  *port = (__u16)(name[2] << 8 | name[3]);
  *family = of;
  if (of == FAMILY_V4) __builtin_memcpy(address, name + 4, 4);
  if (of == FAMILY_V6) __builtin_memcpy(address, name + 8, 16);
}

// As getsockname(2) and its like have it.
static __attribute__((noinline)) void ask_socket(struct inside_socket* socket, __u64 fd) {
  struct {
    __u8 name[32];
    __u32 length;
  } answer = {.length = sizeof(socket->cookie)};
  __u64 cookie = 0;
  if (inside_call(__NR_getsockopt, fd, SOCKET_LEVEL, COOKIE_OPTION, (__u64)&cookie, (__u64)&answer.length) != 0) return;
  socket->cookie = cookie;
  answer.length = sizeof(answer.name);
  if (inside_call(__NR_getsockname, fd, (__u64)answer.name, (__u64)&answer.length, 0, 0) == 0)
    take_address(answer.name, &socket->family, &socket->local_port, socket->local);
  answer.length = sizeof(answer.name);
  if (inside_call(__NR_getpeername, fd, (__u64)answer.name, (__u64)&answer.length, 0, 0) == 0)
    take_address(answer.name, &socket->family, &socket->remote_port, socket->remote);
}

// Of a call that has come back. `kept`: so many bytes were taken at its entry; negative: what it was given is there still.
static void record_call(const struct inside_row* row, const struct inside_frame* frame, const struct inside_slot* slot,
                        struct inside_table* table, __s64 result, __s32 kept) {
  const __u64 at = now();
  const int failed = result < 0 && result >= -ERROR_MOST;
  const int makes = row->result_is_fd && !failed;
  volatile __u64* const made = makes ? socket_of(table, (__u64)result) : 0;
  if (makes) table->has_tcp = 1;
  const __u64 length = sizeof(__u64) + sizeof(struct inside_record) + row->room;
  __u64* const word = reserve(length);
  if (!word) {
    if (made) *made = INSIDE_UNKNOWN;
    __atomic_fetch_add(&SHARED->lost, 1, __ATOMIC_RELAXED);
    return;
  }
  struct inside_record* const record = (struct inside_record*)(word + 1);
  record->id = slot->id;
  record->returned_at = at;
  record->result = result;
  record->cookie = slot->cookie;
  record->number = slot->number;
  record->tid = slot->tid;
  for (int i = 0; i < 6; ++i) record->arguments[i] = argument(frame, i);
  if (row->asks_socket && (makes || !row->result_is_fd))
    ask_socket(&record->socket, makes ? (__u64)result : argument(frame, row->fd_argument));
  if (made) *made = record->socket.cookie;
  struct draft draft = {(__u8*)(record + 1), 0, row->room, frame, result};
  if (kept >= 0) {
    inside_copy(draft.to, SHARED->kept[slot - SHARED->slots], (__u64)kept);
    draft.used = (__u32)kept;
  } else if (result != -ERROR_FAULT) {
    take_pieces(&draft, row, 0);
  }
  record->entry_bytes = draft.used;
  if (!failed) take_pieces(&draft, row, 1);
  record->snippet_bytes = draft.used;
  __atomic_store_n(word, length | (__u64)INSIDE_DONE << 32, __ATOMIC_RELEASE);
}

// --- A call ---------------------------------------------------------------------------------------------------------

// Null: another thread has its place.
static struct inside_slot* my_slot(void) {
  const __u32 tid = (__u32)inside_call(__NR_gettid, 0, 0, 0, 0, 0);
  struct inside_slot* const slot = &SHARED->slots[tid % INSIDE_SLOTS];
  __u32 owner = __atomic_load_n(&slot->tid, __ATOMIC_RELAXED);
  if (owner == tid) return slot;
  if (owner == 0 && __atomic_compare_exchange_n(&slot->tid, &owner, tid, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
    return slot;
  return 0;
}

// Whether this is a signal's handler that has interrupted the recorder itself. What a handler has left by a jump is not
// under way any more: its frame lies below ours, on the same stack.
static int is_nested(const struct inside_slot* slot, const struct inside_frame* frame) {
  const __u64 same_stack = 1U << 16;
  return slot->id != 0 && (__u64)frame - slot->frame - 1 >= same_stack;
}

static void enter(struct inside_slot* slot, const struct inside_frame* frame, __u64 id, __u64 cookie) {
  __atomic_store_n(&slot->number, INSIDE_NO_CALL, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  slot->id = id;
  slot->frame = (__u64)frame;
  slot->cookie = cookie;
  for (int i = 0; i < 6; ++i) slot->arguments[i] = argument(frame, i);
  __atomic_store_n(&slot->number, (__u32)frame->rax, __ATOMIC_RELEASE);
}

static void leave(struct inside_slot* slot) {
  __atomic_store_n(&slot->number, INSIDE_NO_CALL, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  *(volatile __u64*)&slot->id = 0;
}

static __s64 make(const struct inside_row* row, const struct inside_frame* frame, struct inside_table* table) {
  // Before it happens: another thread may be given the same number at once.
  volatile __u64* const closed = row->closes ? socket_of(table, frame->rdi) : 0;
  if (closed) *closed = INSIDE_UNKNOWN;
  return inside_make(frame);
}

// 1: the call has been made, and its result is in the frame; 0: it is to be made by the stub.
__u64 inside_handle(struct inside_frame* frame) {
  const __u32 number = MINE->table;
  if (frame->rax >= INSIDE_CALLS || number >= INSIDE_TABLES) return 0;
  struct inside_table* const table = &SHARED->tables[number];
  if (!*(volatile __u32*)&table->enabled) return 0;
  const struct inside_row* const row = &ROWS[frame->rax];
  if (row->policy == INSIDE_STOPS) return 0;
  const __u64 decision = SHARED->observing ? decide(row, frame, table) : PASS;
  if (decision == STOP) return 0;

  if (decision == PASS) {
    frame->rax = (__u64)make(row, frame, table);
    return 1;
  }
  const __u64 id = now();
  if (is_time_to_stop(row, id)) return 0;
  struct inside_slot* const slot = my_slot();
  if (!slot || is_nested(slot, frame)) return 0;
  enter(slot, frame, id, decision);
  __s32 kept = -1;
  if (row->keeps) {
    // What it is given is written over by what it hands back.
    struct draft draft = {(__u8*)SHARED->kept[slot - SHARED->slots], 0, INSIDE_KEPT_BYTES, frame, 0};
    take_pieces(&draft, row, 0);
    kept = (__s32)draft.used;
  }
  const __s64 result = make(row, frame, table);
  record_call(row, frame, slot, table, result, kept);
  frame->rax = (__u64)result;
  leave(slot);
  return 1;
}
