// System calls of the traced processes: entry and return, with the pieces of memory that a decoder will ask for.
#pragma once

#include "common.bpf.h"
#include "mappings.bpf.h"

// Per system call, by number: from calls/call_table.
struct probe_syscall syscalls[PROBE_SYSCALLS] = {};

// By thread: the call it is in. Each traced thread has a place by the lower bits of its number, from its first call to its end: to look
// there costs a tenth of a look-up in a hash, and most threads that look are not traced.
struct call_place places[PROBE_CALL_PLACES] = {};

// Whose place each is. Asked only where a thread takes or leaves one: of two that want the same place, one gets it.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, PROBE_CALL_PLACES);
  __type(key, __u32);
  __type(value, __u32);
} place_owners SEC(".maps");

// The threads whose place another has. An entry stays and is written over: taking it out and putting it in costs more than all the rest.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 32768);
  __type(key, __u32);
  __type(value, struct call_state);
} calls SEC(".maps");

static __always_inline struct call_place* place_of_thread(__u32 tid) { return &places[tid & (PROBE_CALL_PLACES - 1)]; }

static __always_inline struct call_state* state_of(__u32 tid) {
  struct call_place* place = place_of_thread(tid);
  if (place->tid == tid) return &place->state;
  if (!place->shared) return 0;
  return bpf_map_lookup_elem(&calls, &tid);
}

// A system call, or an io_uring operation (uring.bpf.h), which is submitted inside one.
enum call_kind { SYSTEM_CALL, RING_OPERATION, CALL_KINDS };

// Per operation, by opcode: from calls/operation_table.
struct probe_syscall operation_rows[PROBE_OPERATIONS] = {};

// A call's record under construction, one a kind: programs of the same kind can't interrupt each other.
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, CALL_KINDS);
  __type(key, __u32);
  __type(value, struct probe_call);
} drafts SEC(".maps");

static __always_inline struct probe_call* draft_of(__u32 kind) { return bpf_map_lookup_elem(&drafts, &kind); }
static __always_inline const struct probe_syscall* row_of(__u32 kind, __u32 number) {
  return kind == SYSTEM_CALL ? &syscalls[number & (PROBE_SYSCALLS - 1)]
                             : &operation_rows[(number - PROBE_SYSCALLS) & (PROBE_OPERATIONS - 1)];
}

// By thread: the io_uring operation that it carries out (uring.bpf.h).
struct operation_at_work {
  __u64 id, socket;
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 8192);
  __type(key, __u32);
  __type(value, struct operation_at_work);
} at_work SEC(".maps");
__u32 rings_are_used = 0;

// The running thread made a call of the other ABI that its machine has (int 0x80 on x86-64): its number and registers mean something else.
static __always_inline int is_compat_call(void) {
#ifdef __TARGET_ARCH_x86
  const struct task_struct* task = bpf_get_current_task_btf();
  return task->thread_info.status & TS_COMPAT;
#else
  return 0;
#endif
}

// The number of the system call that the running thread is in, whoever it is; ~0: not told (before Linux 5.15), or in none.
static __always_inline __u64 running_call(void) {
  if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs) || is_compat_call()) return ~0ULL;
  const struct pt_regs* regs = (const struct pt_regs*)bpf_task_pt_regs(bpf_get_current_task_btf());
  return regs ? number_of_call(regs) : ~0ULL;
}

// The call that the running thread is making on `sk`, or its io_uring operation; 0: none.
//
// dup2() and what closes several leave the end of the socket to task work (fput()), which the thread does on its way back to the program, when
// the hook of the return has been passed already; before Linux 6.6 so does close().
static __always_inline __u64 call_on(const void* sk) {
  const __u32 tid = (__u32)bpf_get_current_pid_tgid();
  const struct call_state* call = state_of(tid);
  // What closes several names none of them: the socket that its thread owns is one of them.
  const int one_of_several = call && call->closes == PROBE_CLOSES_SEVERAL && call->socket == 0 &&
                             BPF_CORE_READ((const struct sock*)sk, sk_lock.owned) != 0;
  if (call && (call->socket == (__u64)sk || one_of_several)) {
    if (call->number != PROBE_NO_CALL) return call->id;
    if (call->closed_by != 0 && running_call() + 1 == call->closed_by) return call->id;
  }
  if (!rings_are_used) return 0;
  const struct operation_at_work* operation = bpf_map_lookup_elem(&at_work, &tid);
  return operation && operation->socket == (__u64)sk ? operation->id : 0;
}

static __always_inline struct sock* tcp_socket_by_plain_loads(const void* found) {
  const struct file* file = CAST(found, struct file);
  if ((file->f_inode->i_mode & S_IFMT) != S_IFSOCK) return 0;
  const struct sock* sk = CAST(file->private_data, struct socket)->sk;
  if (!sk || sk->sk_protocol != IPPROTO_TCP || sk->sk_type != SOCK_STREAM) return 0;
  const __u16 family = sk->__sk_common.skc_family;
  return family == AF_INET || family == AF_INET6 ? (struct sock*)sk : 0;
}

static __always_inline struct sock* tcp_socket_of(struct file* file) {
  if (file && bpf_rdonly_cast) return tcp_socket_by_plain_loads(file);
  if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK) return 0;
  struct socket* socket = BPF_CORE_READ(file, private_data);
  struct sock* sk = BPF_CORE_READ(socket, sk);
  if (!sk) return 0;
  const __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
  if ((family != AF_INET && family != AF_INET6) || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP) return 0;
  return BPF_CORE_READ(sk, sk_type) == SOCK_STREAM ? sk : 0;
}

static __always_inline __u32 references_of(struct file* file) {
  if (bpf_core_field_exists(file->f_ref)) return BPF_CORE_READ(file, f_ref.refcnt.counter) + 1;
  return BPF_CORE_READ(file, f_count.counter);
}

// clang-format off: it needs those above
#include "rights.bpf.h"
// clang-format on

static __always_inline void take(struct probe_call* draft, __u64 address, __u64 length) {
  __u64 n = draft->snippets;
  FORGET(n);
  if (n >= PROBE_SNIPPETS || address == 0 || length == 0) return;
  struct probe_snippet* snippet = &draft->snippet[n];
  if (length > PROBE_SNIPPET_BYTES) length = PROBE_SNIPPET_BYTES;
  FORGET(length);
  length &= 2 * PROBE_SNIPPET_BYTES - 1;
  if (length > PROBE_SNIPPET_BYTES) return;
  if (bpf_probe_read_user(snippet->bytes, length, (const void*)address)) return;
  snippet->address = address;
  snippet->length = length;
  snippet->reserved = 0;
  draft->snippets = n + 1;
}

// The first vector of an iovec[] and what it points to.
static __always_inline void take_vectors(struct probe_call* draft, __u64 address, __u64 count, __u32 payload) {
  __u64 first[2] = {};
  if (count > 4) count = 4;
  take(draft, address, (__u32)count * 16);
  if (count == 0 || bpf_probe_read_user(first, sizeof(first), (const void*)address)) return;
  take(draft, first[0], first[1] < payload ? (__u32)first[1] : payload);
}

static __always_inline void take_message(struct probe_call* draft, __u64 address, __u32 payload) {
  __u64 header[7] = {};  // struct msghdr: name, namelen, iov, iovlen, control, controllen, flags
  if (bpf_probe_read_user(header, sizeof(header), (const void*)address)) return;
  take(draft, address, sizeof(header));
  take(draft, header[0], (__u32)header[1]);
  take_vectors(draft, header[2], header[3], payload);
  take(draft, header[4], header[5] < PROBE_SNIPPET_BYTES ? (__u32)header[5] : PROBE_SNIPPET_BYTES);
}

static __always_inline __u64 argument(const __u64* arguments, __s32 n) {
  switch (n) {
    case 0: return arguments[0];
    case 1: return arguments[1];
    case 2: return arguments[2];
    case 3: return arguments[3];
    case 4: return arguments[4];
    default: return arguments[5];
  }
}

// Piece `index` of what the draft of that kind calls for. Global, so that it is verified once and not for each place that calls it and
// all that may be known there; and told by numbers alone, as kernels before 5.12 take no pointers in a global function.
__noinline int take_piece(__u32 kind, __u32 index) {
  struct probe_call* draft = draft_of(kind);
  if (!draft || index >= PROBE_PIECES) return 0;
  const struct taken_piece* piece = &row_of(kind, draft->number)->piece[index];
  const __u64 address = argument(draft->arguments, piece->pointer_argument);
  __u64 length = piece->constant;
  if (piece->length_argument == -2) {
    if (draft->result <= 0) return 0;
    length = (__u64)draft->result * piece->element;
  } else if (piece->length_argument >= 0) {
    length = argument(draft->arguments, piece->length_argument);
    if (piece->shape == SHAPE_BYTES) length *= piece->element;
  }
  if (address == 0) return 0;
  if (piece->shape == SHAPE_MESSAGE) {
    take_message(draft, address, piece->constant);
  } else if (piece->shape == SHAPE_VECTORS) {
    take_vectors(draft, address, length, piece->constant);
  } else if (piece->shape == SHAPE_VALUE_LENGTH) {
    __u32 size = 0;
    const __u64 where = length;  // the argument is a pointer to the length
    if (where == 0 || bpf_probe_read_user(&size, sizeof(size), (const void*)where)) return 0;
    take(draft, where, sizeof(size));
    take(draft, address, size);
  } else {
    if (piece->constant != 0 && length > piece->constant) length = piece->constant;
    take(draft, address, length < PROBE_SNIPPET_BYTES ? (__u32)length : PROBE_SNIPPET_BYTES);
  }
  return 0;
}

// Global too.
__noinline int take_some_pieces(__u32 kind, __u32 at_exit) {
  const struct probe_call* draft = draft_of(kind);
  if (!draft) return 0;
  const struct probe_syscall* row = row_of(kind, draft->number);
  for (__u32 i = 0; i < PROBE_PIECES; ++i)
    if (i < row->piece_count && row->piece[i].at_exit == at_exit) take_piece(kind, i);
  return 0;
}
static __always_inline void take_pieces(__u32 kind, const struct probe_syscall* row, __u8 at_exit) {
  if (row->piece_count != 0) take_some_pieces(kind, at_exit);
}

__noinline int send_draft(__u32 kind) {
  struct probe_call* draft = draft_of(kind);
  if (!draft) return 0;
  const __u32 n = draft->snippets;
  __u64 size = __builtin_offsetof(struct probe_call, snippet);
  if (n > 0) {
    const __u32 last = n - 1;
    if (last >= PROBE_SNIPPETS) return 0;
    __u64 length = draft->snippet[last].length;
    FORGET(length);
    if (length > PROBE_SNIPPET_BYTES) return 0;
    size +=
        last * sizeof(struct probe_snippet) + __builtin_offsetof(struct probe_snippet, bytes) + ((length + 7) & ~7ULL);
  }
  if (draft->head.flags & PROBE_BRIEF) {
    size -= PROBE_BRIEF_SAVES;
    FORGET(size);
    if (size > sizeof(*draft) - PROBE_BRIEF_SAVES) return 0;
    put(shorten(draft), size, draft->head.at_ns);
  } else {
    FORGET(size);
    if (size > sizeof(*draft)) return 0;
    put(draft, size, draft->head.at_ns);
  }
  return 0;
}

static __always_inline int may_take_stack(__u64 now) {
  const __u64 second = now >> 30;
  if (stack_second != second) stack_second = second, stacks_this_second = 0;
  if (stacks_this_second >= user_stacks_a_second) {
    __sync_fetch_and_add(&counters.skipped_stacks, 1);
    return 0;
  }
  ++stacks_this_second;
  return 1;
}

// The registers and the top of the stack: the reader unwinds them by the program's own call frame information.
static __always_inline void send_user_stack(struct pt_regs* regs, __u64 call) {
  struct probe_user_stack* stack = RESERVE(probe_user_stack, PROBE_USER_STACK);
  if (!stack) return;
  stack->call = call;
  take_dwarf_registers(stack->registers, regs);
  stack->address = stack_pointer_of(regs);
  stack->reserved = 0;
  stack->length = 0;
  // Near the end of the stack less of it is there.
  if (!bpf_probe_read_user(stack->bytes, 8192, (const void*)stack->address))
    stack->length = 8192;
  else if (!bpf_probe_read_user(stack->bytes, 4096, (const void*)stack->address))
    stack->length = 4096;
  else if (!bpf_probe_read_user(stack->bytes, 2048, (const void*)stack->address))
    stack->length = 2048;
  else if (!bpf_probe_read_user(stack->bytes, 1024, (const void*)stack->address))
    stack->length = 1024;
  SUBMIT(stack);
}

// Global.
__noinline int tell_whole(__u32 kind, __u32 known) {
  struct probe_call* draft = draft_of(kind);
  if (!draft) return 0;
  const __u64 socket = draft->socket.pointer;
  fill_socket(&draft->socket, (struct sock*)socket);
  if (!known) hash_interest(socket, OF_INTEREST);
  return is_interesting(&draft->socket);  // learns its flow
}

// Everything about the socket, or, of one that has been told whole, its address alone.
static __always_inline void tell_socket(__u32 kind, struct probe_call* draft, struct sock* sk) {
  const __u64 pointer = (__u64)sk;
  const __u8 known = interest_in(pointer);
  draft->socket.pointer = pointer;
  if (known == TOLD_WHOLE)
    draft->head.flags |= PROBE_BRIEF;
  else
    tell_whole(kind, known);
}

// The state of a traced thread, to be filled in.
static __always_inline struct call_state* make_state(__u32 tid) {
  const __u32 index = tid & (PROBE_CALL_PLACES - 1);
  struct call_place* place = place_of_thread(tid);
  if (place->tid == 0 && bpf_map_update_elem(&place_owners, &index, &tid, BPF_NOEXIST) == 0) {
    place->state.number = PROBE_NO_CALL;
    place->tid = tid;
    return &place->state;
  }
  const struct call_state none = {.number = PROBE_NO_CALL};
  bpf_map_update_elem(&calls, &tid, &none, BPF_ANY);
  place->shared = 1;
  return bpf_map_lookup_elem(&calls, &tid);
}

static __always_inline void forget_state(__u32 tid) {
  const __u32 index = tid & (PROBE_CALL_PLACES - 1);
  struct call_place* place = place_of_thread(tid);
  if (place->tid != tid) {
    if (place->shared) bpf_map_delete_elem(&calls, &tid);
    return;
  }
  place->tid = 0;
  bpf_map_delete_elem(&place_owners, &index);
}

static __always_inline void begin_draft(struct probe_call* draft, __u8 kind, const struct call_state* state) {
  fill_head(&draft->head, kind);
  draft->call = state->id;
  draft->number = state->number;
  draft->result = 0;
  draft->references = draft->snippets = 0;
  __builtin_memcpy(draft->arguments, state->arguments, sizeof(draft->arguments));
}

static __always_inline void tell_socket_or_none(struct probe_call* draft, struct sock* sk) {
  if (sk) return tell_socket(SYSTEM_CALL, draft, sk);
  draft->head.flags |= PROBE_BRIEF;
  draft->socket.pointer = 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter, struct pt_regs* regs, long number) {
  if (number < 0 || number >= PROBE_SYSCALLS) return 0;
  const struct probe_syscall* row = &syscalls[number & (PROBE_SYSCALLS - 1)];
  if (!row->wanted) return 0;
  const __u64 who = bpf_get_current_pid_tgid();
  const __u32 tgid = who >> 32, tid = (__u32)who;
  struct call_state* state = state_of(tid);
  if ((!state && !is_traced(tgid)) || is_compat_call()) return 0;
  // Another call of the same number, on what is no TCP socket, has nothing to do with what the last one closed.
  if (state) state->closed_by = 0;

  __u64 arguments[6];
  take_arguments(arguments, regs);
  struct file* file = 0;
  struct sock* sk = 0;
  __u16 held = 0;
  __u8 on_second = 0;
  if (row->fd_argument >= 0 && row->only_on_tcp) {
    file = file_of((__s32)argument(arguments, row->fd_argument));
    sk = tcp_socket_of(file);
    if (!sk && row->second_fd_argument >= 0) {
      file = file_of((__s32)argument(arguments, row->second_fd_argument));
      sk = tcp_socket_of(file);
      if (sk) on_second = PROBE_ON_SECOND;
    }
    if (!sk && row->passes) sk = (struct sock*)passed_socket(arguments[1]);
    held = !sk && row->is_passed && has_control_room(arguments[1]);
    // Of a call that makes the socket (socket()) the return tells; the reader waits for it.
    if (!sk && !held) return 0;
  }
  if (!state) state = make_state(tid);
  if (!state) return 0;
  state->id = bpf_ktime_get_ns();
  state->socket = (__u64)sk;
  state->number = (__u32)number;
  state->tgid = tgid;
  state->closes = row->closes;
  state->closed_by = 0;
  state->told = !row->told_at_return;
  state->held = held;
  __builtin_memcpy(state->arguments, arguments, sizeof(arguments));
  if (row->told_at_return) return 0;

  struct probe_call* draft = draft_of(SYSTEM_CALL);
  if (!draft) return 0;
  begin_draft(draft, PROBE_CALL_ENTERED, state);
  draft->head.at_ns = state->id;
  if (row->closes && file) draft->references = references_of(file);
  draft->head.flags |= on_second;
  tell_socket_or_none(draft, sk);
  take_pieces(SYSTEM_CALL, row, 0);
  const int stack = row->wants_stack && sk && may_take_stack(draft->call);
  send_draft(SYSTEM_CALL);
  if (stack) send_user_stack(regs, draft->call);
  return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs* regs, long result) {
  const __u64 number = number_of_call(regs);
  if (number >= PROBE_SYSCALLS) return 0;
  const struct probe_syscall* row = &syscalls[number & (PROBE_SYSCALLS - 1)];
  if (!row->wanted) {
    if (number == SYS_mmap && !is_compat_call()) tell_mapped_by_call(regs, result);
    return 0;
  }
  const __u32 tid = (__u32)bpf_get_current_pid_tgid();
  struct call_state* state = state_of(tid);
  if (!state || state->number != number) return 0;
  struct probe_call* draft = draft_of(SYSTEM_CALL);
  if (!draft) return 0;
  begin_draft(draft, state->told ? PROBE_CALL_RETURNED : PROBE_CALL_MADE, state);
  draft->result = result;
  struct sock* sk = state->closes == PROBE_CLOSES_ITS_OWN ? 0 : (struct sock*)state->socket;
  if (state->held) {
    if (result >= 0) sk = (struct sock*)passed_socket(draft->arguments[1]);
    if (!sk) {
      state->number = PROBE_NO_CALL;
      return 0;
    }
  }
  if (row->result_is_fd && result >= 0) sk = tcp_socket_of(file_of(result));
  tell_socket_or_none(draft, sk);
  if (!state->told) take_pieces(SYSTEM_CALL, row, 0);
  if (result > -4096) take_pieces(SYSTEM_CALL, row, 1);
  state->number = PROBE_NO_CALL;
  if (state->closes && result >= 0) state->closed_by = number + 1;
  send_draft(SYSTEM_CALL);
  return 0;
}

// A call that its thread won't come back from.
static __always_inline void tell_unfinished_call(__u32 tid) {
  struct call_state* state = state_of(tid);
  struct probe_call* draft = draft_of(SYSTEM_CALL);
  if (!state || !draft || state->number == PROBE_NO_CALL || state->told || state->held) return;
  begin_draft(draft, PROBE_CALL_ENTERED, state);
  draft->head.at_ns = state->id;
  draft->head.flags |= PROBE_BRIEF;
  draft->socket.pointer = state->socket;
  send_draft(SYSTEM_CALL);
}
