// Runs inside the traced process, in place of a system call of its: makes the call, and records it in memory that the
// tracer reads.
//
// It stands on the program's own stack, in whatever the program was doing: no libc, no vector registers, little
// stack, no lock. What it can't decide it leaves to the tracer, by making the call where the seccomp filter stops it.
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/socket.h>
#include <linux/time.h>

#include "../protocol.h"

// asm-generic/socket.h, bits/socket.h
enum { SOCKET_LEVEL = 1, COOKIE_OPTION = 57, FAMILY_V4 = 2, FAMILY_V6 = 10, STREAM = 1, STREAM_FLAGS = 02004000 };
enum { ERROR_MOST = 4095, ERROR_FAULT = 14 };

long inside_call(long number, const __u64 arguments[6]);
__u64 inside_copy(void* to, const void* from, __u64 count);

#define SHARED ((struct inside_shared*)INSIDE_SHARED)
#define MINE ((const volatile struct inside_private*)INSIDE_PRIVATE)
#define ROWS ((const struct inside_row*)INSIDE_ROWS)

static __u64 now(void) {
  struct __kernel_timespec time;
  typedef int clock_function(int clock, struct __kernel_timespec* time);
  clock_function* const clock = (clock_function*)MINE->clock;
  if (!clock || clock(CLOCK_REALTIME, &time) != 0) {
    const __u64 arguments[6] = {CLOCK_REALTIME, (__u64)&time};
    inside_call(__NR_clock_gettime, arguments);
  }
  return (__u64)time.tv_sec * 1000000000U + (__u64)time.tv_nsec;
}

static __u64 read_word(__u64 address) {
  __u64 word = 0;
  inside_copy(&word, (const void*)address, sizeof(word));
  return word;
}

// --- What is to be done ---------------------------------------------------------------------------------------------

static volatile __u64* socket_of(struct inside_table* table, __u64 fd) {
  return (__u32)fd < INSIDE_DESCRIPTORS ? &table->socket[(__u32)fd] : 0;
}

enum decision { STOP, PASS, RECORD };

static enum decision decide_on_socket(const struct inside_row* row, struct inside_slot* call,
                                      struct inside_table* table) {
  const __u64* const arguments = call->arguments;
  const volatile __u64* const known = socket_of(table, arguments[row->fd_argument]);
  const __u64 socket = known ? *known : INSIDE_UNKNOWN;
  if (socket == INSIDE_UNKNOWN) return STOP;
  if (row->passes && read_word(arguments[1] + 40) != 0) return STOP;  // msg_controllen
  if (socket != INSIDE_OTHER) {
    call->cookie = socket;
    const __u32 command = (__u32)arguments[1];
    return row->duplicates && (command == F_DUPFD || command == F_DUPFD_CLOEXEC) ? STOP : RECORD;
  }
  if (row->second_fd_argument >= 0) {
    const volatile __u64* const second = socket_of(table, arguments[row->second_fd_argument]);
    if (!second || *second != INSIDE_OTHER) return STOP;
  }
  return PASS;
}

static int makes_tcp_socket(const __u64* arguments) {
  const __u32 family = (__u32)arguments[0], protocol = (__u32)arguments[2];
  return (family == FAMILY_V4 || family == FAMILY_V6) && ((__u32)arguments[1] & ~STREAM_FLAGS) == STREAM &&
         (protocol == 0 || protocol == IPPROTO_TCP);
}

static int has_too_many_vectors(const struct inside_row* row, const __u64* arguments) {
  for (int i = 0; i < row->piece_count; ++i) {
    if (row->piece[i].shape == SHAPE_VECTORS && arguments[row->piece[i].length_argument] > INSIDE_VECTORS) return 1;
    if (row->piece[i].shape == SHAPE_MESSAGE && read_word(arguments[1] + 24) > INSIDE_VECTORS) return 1;
  }
  return 0;
}

static enum decision decide(const struct inside_row* row, struct inside_slot* call, struct inside_table* table) {
  const __u64* const arguments = call->arguments;
  enum decision decision = STOP;
  switch (row->policy) {
    case INSIDE_ON_SOCKET: decision = decide_on_socket(row, call, table); break;
    case INSIDE_MAKES: decision = makes_tcp_socket(arguments) ? RECORD : PASS; break;
    case INSIDE_WAITS: decision = table->has_tcp ? RECORD : PASS; break;
  }
  return decision == RECORD && has_too_many_vectors(row, arguments) ? STOP : decision;
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
  const __u64* arguments;
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
  __u64 header[7] = {0};  // struct msghdr: name, namelen, iov, iovlen, control, controllen, flags
  if (inside_copy(header, (const void*)address, sizeof(header)) != 0) return;
  take(draft, address, sizeof(header));
  const __u32 name = (__u32)header[1];
  take(draft, header[0], name < 128 ? name : 128);
  take_vectors(draft, header[2], header[3], most);
}

static void take_piece(struct draft* draft, const struct taken_piece* piece) {
  const __u64 address = draft->arguments[piece->pointer_argument];
  __u64 length = piece->constant;
  if (piece->length_argument == -2) {
    if (draft->result <= 0) return;
    length = (__u64)draft->result * piece->element;
  } else if (piece->length_argument >= 0) {
    length = draft->arguments[piece->length_argument];
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
static void ask_socket(struct inside_socket* socket, __u64 fd) {
  struct {
    __u64 cookie;
    __u8 name[32];
    __u32 length;
  } answer = {.length = sizeof(answer.cookie)};
  const __u64 option[6] = {fd, SOCKET_LEVEL, COOKIE_OPTION, (__u64)&answer.cookie, (__u64)&answer.length};
  if (inside_call(__NR_getsockopt, option) != 0) return;
  socket->cookie = answer.cookie;
  const __u64 name[6] = {fd, (__u64)answer.name, (__u64)&answer.length};
  answer.length = sizeof(answer.name);
  if (inside_call(__NR_getsockname, name) == 0)
    take_address(answer.name, &socket->family, &socket->local_port, socket->local);
  answer.length = sizeof(answer.name);
  if (inside_call(__NR_getpeername, name) == 0)
    take_address(answer.name, &socket->family, &socket->remote_port, socket->remote);
}

// `kept`: what was taken at entry, or null: then it is there still.
static void record_call(const struct inside_row* row, const struct inside_slot* call, struct inside_table* table,
                        __s64 result, __u64 at, const struct draft* kept) {
  const int failed = result < 0 && result >= -ERROR_MOST;
  struct inside_socket socket = {0};
  if (row->asks_socket && !(row->result_is_fd && failed))
    ask_socket(&socket, row->result_is_fd ? (__u64)result : call->arguments[row->fd_argument]);
  volatile __u64* const made = row->result_is_fd && !failed ? socket_of(table, (__u64)result) : 0;
  if (made) *made = socket.cookie;
  if (row->result_is_fd && !failed) table->has_tcp = 1;

  const __u64 length = sizeof(__u64) + sizeof(struct inside_record) + row->room;
  __u64* const word = reserve(length);
  if (!word) {
    __atomic_fetch_add(&SHARED->lost, 1, __ATOMIC_RELAXED);
    return;
  }
  struct inside_record* const record = (struct inside_record*)(word + 1);
  record->id = call->id;
  record->returned_at = at;
  record->result = result;
  record->cookie = call->cookie;
  record->number = call->number;
  record->tid = call->tid;
  for (int i = 0; i < 6; ++i) record->arguments[i] = call->arguments[i];
  record->socket = socket;
  struct draft draft = {(__u8*)(record + 1), 0, row->room, call->arguments, result};
  if (kept) {
    inside_copy(draft.to, kept->to, kept->used);
    draft.used = kept->used;
  } else if (result != -ERROR_FAULT) {
    take_pieces(&draft, row, 0);
  }
  record->entry_bytes = draft.used;
  if (!failed) take_pieces(&draft, row, 1);
  record->snippet_bytes = draft.used;
  __atomic_store_n(word, length | (__u64)INSIDE_DONE << 32, __ATOMIC_RELEASE);
}

// --- A call ---------------------------------------------------------------------------------------------------------

static struct inside_slot* my_slot(void) {
  const __u64 none[6] = {0};
  const __u32 tid = (__u32)inside_call(__NR_gettid, none);
  struct inside_slot* const slot = &SHARED->slots[tid % INSIDE_SLOTS];
  __u32 owner = __atomic_load_n(&slot->tid, __ATOMIC_RELAXED);
  if (owner == tid) return slot;
  if (owner == 0 && __atomic_compare_exchange_n(&slot->tid, &owner, tid, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
    return slot;
  return 0;
}

static void enter(struct inside_slot* slot, const struct inside_slot* call) {
  __atomic_store_n(&slot->number, INSIDE_NO_CALL, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  slot->id = call->id;
  slot->frame = call->frame;
  slot->cookie = call->cookie;
  for (int i = 0; i < 6; ++i) slot->arguments[i] = call->arguments[i];
  __atomic_store_n(&slot->number, call->number, __ATOMIC_RELEASE);
}

static __s64 make(const struct inside_slot* call, const struct inside_row* row, struct inside_table* table) {
  // Before it happens: another thread may be given the same number at once.
  volatile __u64* const closed = row->closes ? socket_of(table, call->arguments[0]) : 0;
  if (closed) *closed = INSIDE_UNKNOWN;
  return inside_call(call->number, call->arguments);
}

static __s64 make_and_record(const struct inside_slot* call, const struct inside_row* row, struct inside_table* table) {
  const __s64 result = make(call, row, table);
  record_call(row, call, table, result, now(), 0);
  return result;
}

// What it is given is written over by what it hands back.
static __attribute__((noinline)) __s64 keep_make_and_record(const struct inside_slot* call,
                                                            const struct inside_row* row, struct inside_table* table) {
  __u64 memory[INSIDE_KEPT_BYTES / 8];
  struct draft kept = {(__u8*)memory, 0, sizeof(memory), call->arguments, 0};
  take_pieces(&kept, row, 0);
  const __s64 result = make(call, row, table);
  record_call(row, call, table, result, now(), &kept);
  return result;
}

// 1: the call has been made, and its result is in the frame; 0: it is to be made by the stub.
__u64 inside_handle(struct inside_frame* frame) {
  const __u32 number = MINE->table;
  if (frame->rax >= INSIDE_CALLS || number >= INSIDE_TABLES) return 0;
  struct inside_table* const table = &SHARED->tables[number];
  if (!*(volatile __u32*)&table->enabled) return 0;
  const struct inside_row* const row = &ROWS[frame->rax];
  if (row->policy == INSIDE_STOPS) return 0;
  struct inside_slot call = {.number = (__u32)frame->rax,
                             .frame = (__u64)frame,
                             .arguments = {frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9}};
  const enum decision decision = SHARED->observing ? decide(row, &call, table) : PASS;
  if (decision == STOP) return 0;

  if (decision == PASS) {
    frame->rax = (__u64)make(&call, row, table);
    return 1;
  }
  call.id = now();
  if (is_time_to_stop(row, call.id)) return 0;
  struct inside_slot* const slot = my_slot();
  if (!slot) return 0;
  call.tid = slot->tid;
  // A signal's handler may make calls while the one it has interrupted is still under way.
  const struct inside_slot before = *slot;
  enter(slot, &call);
  frame->rax = (__u64)(row->keeps ? keep_make_and_record(&call, row, table) : make_and_record(&call, row, table));
  enter(slot, &before);
  return 1;
}
