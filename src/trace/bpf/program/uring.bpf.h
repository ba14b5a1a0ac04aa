// io_uring operations on the sockets of traced processes: a call each, entered when it is submitted, back when it is completed.
//
// What is asked stands in the submission queue entry, whose layout is the kernel's interface; where that entry is, and which file is
// meant, in structures of the kernel's own.
#pragma once

#include "calls.bpf.h"
#include "common.bpf.h"

// linux/io_uring.h
enum {
  RING_SQE128 = 1 << 10,
  RING_NO_SQARRAY = 1 << 16,
  SQE_FIXED_FILE = 1 << 0,
  CQE_BUFFER = 1 << 0,
  CQE_MORE = 1 << 1,
  FILE_INDEX_ALLOCATE = 0xffffffff,
  OPERATION_CLOSE = 19,
  OPERATION_RECV = 27,
  OPERATION_SOCKET = 45,
};

// struct io_uring_sqe
struct ring_entry {
  __u8 opcode, flags;
  __u16 ioprio;
  __s32 fd;
  __u64 offset, address;
  __u32 length, operation_flags;
  __u64 user_data;
  __u16 buffer, personality;
  __u32 file_index;
};

struct operation {
  __u64 id;  // time of submission
  __u64 socket, ring, user_data;
  __u64 arguments[6];
  __u32 opcode, tid, tgid;
  __u32 told;  // its submission
};

// By request (address of struct io_kiocb): submitted, and not completed.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 32768);
  __type(key, __u64);
  __type(value, struct operation);
} operations SEC(".maps");

// The completions of a multishot operation don't name its request, nor does one for which there was no room.
struct ring_and_data {
  __u64 ring, user_data;
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 8192);
  __type(key, struct ring_and_data);
  __type(value, __u64);
} requests_by_data SEC(".maps");

// What is being submitted, and completed, on each processor: what submit() and complete() are about. They are global functions, so that
// each is verified once, and those take numbers only: a pointer that was put here is a number again.
struct submission {
  __u64 request;  // address of struct io_kiocb
  struct ring_entry entry;
};
struct completion {
  __u64 ring, request, user_data;
  __s32 result;
  __u32 flags;
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct submission);
} submissions SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct completion);
} completions SEC(".maps");

// The entry that was taken off the ring just now: as io_get_sqe() finds it.
static __always_inline int read_newest_entry(struct io_ring_ctx* ring, struct ring_entry* entry) {
  const __u32 flags = BPF_CORE_READ(ring, flags);
  __u32 at = (BPF_CORE_READ(ring, cached_sq_head) - 1) & (BPF_CORE_READ(ring, sq_entries) - 1);
  const __u32* const order = BPF_CORE_READ(ring, sq_array);
  if (!(flags & RING_NO_SQARRAY) && order && bpf_probe_read_kernel(&at, sizeof(at), order + at)) return 0;
  const char* entries = (const char*)BPF_CORE_READ(ring, sq_sqes);
  const __u64 offset = (__u64)at * (flags & RING_SQE128 ? 128 : 64);
  return bpf_probe_read_kernel(entry, sizeof(*entry), entries + offset) == 0;
}

static __always_inline struct file* fixed_file(struct io_ring_ctx* ring, __u32 slot) {
  if (!bpf_core_field_exists(ring->file_table.data)) {
    struct io_fixed_file fixed = {}, *files = BPF_CORE_READ(ring, file_table.files);
    if (!files || slot >= BPF_CORE_READ(ring, nr_user_files)) return 0;
    if (bpf_probe_read_kernel(&fixed, sizeof(fixed), files + slot)) return 0;
    return (struct file*)(fixed.file_ptr & ~7UL);
  }
  struct io_rsrc_node *node = 0, **nodes = BPF_CORE_READ(ring, file_table.data.nodes);
  if (!nodes || slot >= BPF_CORE_READ(ring, file_table.data.nr)) return 0;
  if (bpf_probe_read_kernel(&node, sizeof(node), nodes + slot) || !node) return 0;
  return (struct file*)(BPF_CORE_READ(node, file_ptr) & ~7UL);  // flags stand in its lowest bits
}

// Threads of the kernel's own that work for a ring belong to its process: the process is meant, not they.
static __always_inline __u32 acting_thread(void) {
  const struct task_struct* task = (void*)bpf_get_current_task();
  const __u64 who = bpf_get_current_pid_tgid();
  const __u32 kernel_workers = 0x10 | 0x4000;  // PF_IO_WORKER, PF_USER_WORKER
  return BPF_CORE_READ(task, flags) & kernel_workers ? (__u32)(who >> 32) : (__u32)who;
}

static __always_inline void fill_operation(struct probe_call* draft, const struct operation* operation, __u8 kind) {
  fill_head(&draft->head, kind);
  draft->head.tid = operation->tid, draft->head.tgid = operation->tgid;
  draft->call = operation->id;
  draft->number = PROBE_SYSCALLS + operation->opcode;
  draft->result = 0;
  draft->references = draft->snippets = draft->completion = 0;
  __builtin_memcpy(draft->arguments, operation->arguments, sizeof(draft->arguments));
}

static __always_inline void tell_socket_of_operation(struct probe_call* draft, struct sock* sk) {
  if (sk)
    tell_socket(RING_OPERATION, draft, sk);
  else
    clear(&draft->socket, sizeof(draft->socket));
}

// What stands in `submissions`. Returns whether the caller's stack is wanted.
__noinline int submit(void) {
  const __u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
  const struct submission* submission = bpf_map_lookup_elem(&submissions, &zero);
  if (!submission) return 0;
  const __u64 key = submission->request;
  struct io_kiocb* const request = (struct io_kiocb*)key;
  const struct ring_entry* entry = &submission->entry;
  // The address may have been another request's, whose completion nobody was to be told.
  bpf_map_delete_elem(&operations, &key);
  const struct probe_syscall* row = &operation_rows[entry->opcode & (PROBE_OPERATIONS - 1)];
  if (entry->opcode >= PROBE_OPERATIONS || !row->wanted) return 0;
  struct io_ring_ctx* ring = BPF_CORE_READ(request, ctx);
  struct file* file = 0;
  const int closes_slot = entry->opcode == OPERATION_CLOSE && entry->file_index != 0;
  if (closes_slot)
    file = fixed_file(ring, entry->file_index - 1);
  else if (entry->flags & SQE_FIXED_FILE)
    file = fixed_file(ring, entry->fd);
  else if (entry->opcode != OPERATION_SOCKET)
    file = file_of(entry->fd);
  struct sock* sk = tcp_socket_of(file);
  __u8 on_second = 0;
  if (!sk && row->second_fd_argument >= 0) {  // splice, tee
    sk = tcp_socket_of(file_of((__s32)entry->file_index));
    if (sk) on_second = PROBE_ON_SECOND;
  }
  // A file that is not there yet comes from the operation that this one is linked to: its completion will tell.
  if (!sk && file) return 0;

  struct operation operation = {.id = bpf_ktime_get_ns(),
                                .socket = (__u64)sk,
                                .ring = (__u64)ring,
                                .user_data = entry->user_data,
                                .opcode = entry->opcode,
                                .tid = acting_thread(),
                                .tgid = tgid};
  operation.told = sk != 0 || entry->opcode == OPERATION_SOCKET;
  operation.arguments[OPERATION_FD] = (__u32)entry->fd;
  operation.arguments[OPERATION_ADDRESS] = entry->address;
  operation.arguments[OPERATION_LENGTH] = entry->length;
  operation.arguments[OPERATION_FLAGS] = entry->operation_flags;
  operation.arguments[OPERATION_OFFSET] = entry->offset;
  operation.arguments[OPERATION_REST] = entry->ioprio | (__u64)entry->flags << 16 | (__u64)entry->file_index << 32;
  bpf_map_update_elem(&operations, &key, &operation, BPF_ANY);
  const struct ring_and_data data = {.ring = operation.ring, .user_data = operation.user_data};
  bpf_map_update_elem(&requests_by_data, &data, &key, BPF_ANY);
  rings_are_used = 1;
  if (!operation.told) return 0;

  struct probe_call* draft = draft_of(RING_OPERATION);
  if (!draft) return 0;
  fill_operation(draft, &operation, PROBE_OPERATION_SUBMITTED);
  draft->head.at_ns = operation.id;
  draft->head.flags |= on_second;
  if (row->closes && file) draft->references = references_of(file);
  tell_socket_of_operation(draft, sk);
  take_pieces(RING_OPERATION, row, 0);
  send_draft(RING_OPERATION);
  return row->wants_stack && operation.tid == (__u32)bpf_get_current_pid_tgid() && may_take_stack(operation.id);
}

static __always_inline int caller_is_traced(void) {
  const __u32 tgid = bpf_get_current_pid_tgid() >> 32;
  return is_traced(tgid);
}

static __always_inline int tell_submission(struct io_kiocb* request) {
  const __u32 zero = 0;
  struct submission* submission = bpf_map_lookup_elem(&submissions, &zero);
  if (!submission || !caller_is_traced() || !read_newest_entry(BPF_CORE_READ(request, ctx), &submission->entry))
    return 0;
  const __u64 key = (__u64)request;
  submission->request = key;
  if (!submit() || !bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) return 0;
  const struct operation* operation = bpf_map_lookup_elem(&operations, &key);
  struct pt_regs* regs = (struct pt_regs*)bpf_task_pt_regs(bpf_get_current_task_btf());
  if (operation) send_user_stack(regs, operation->id);
  return 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_operation_submitted, struct io_kiocb* request) { return tell_submission(request); }

// Its name before 6.3.
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_entry_submitted, struct io_kiocb* request) { return tell_submission(request); }

// What is refused before it is a request: it has a completion too.
SEC("tp_btf/io_uring_req_failed")
int BPF_PROG(on_operation_refused, const struct io_uring_sqe* refused, struct io_kiocb* request) {
  const __u32 zero = 0;
  struct submission* submission = bpf_map_lookup_elem(&submissions, &zero);
  if (!submission || !caller_is_traced()) return 0;
  if (bpf_probe_read_kernel(&submission->entry, sizeof(submission->entry), refused)) return 0;
  submission->request = (__u64)request;
  submit();
  return 0;
}

// The running thread looks up the descriptor of an operation: it is about to carry it out. (Registered files are not looked up.)
SEC("tp_btf/io_uring_file_get")
int BPF_PROG(on_operation_begins, struct io_kiocb* request, int fd) {
  const __u64 key = (__u64)request;
  const __u32 tid = (__u32)bpf_get_current_pid_tgid();
  struct operation* operation = bpf_map_lookup_elem(&operations, &key);
  if (!operation) return 0;
  if (operation->socket == 0) operation->socket = (__u64)tcp_socket_of(file_of(fd));
  const struct operation_at_work work = {.id = operation->id, .socket = operation->socket};
  bpf_map_update_elem(&at_work, &tid, &work, BPF_ANY);
  return 0;
}

static __always_inline struct sock* socket_made(struct io_ring_ctx* ring, const struct operation* operation,
                                                __s32 result) {
  const __u32 slot = operation->arguments[OPERATION_REST] >> 32;
  if (result < 0) return 0;
  if (slot == 0) return tcp_socket_of(file_of(result));
  return tcp_socket_of(fixed_file(ring, slot == FILE_INDEX_ALLOCATE ? (__u32)result : slot - 1));
}

// Where the kernel put what it received into a buffer of its own choice (IOSQE_BUFFER_SELECT); 0: not known. Before 6.10 a recv has its
// iterator on the stack (io_recv() in io_uring/net.c), and the buffer stands in the request itself.
static __always_inline __u64 chosen_buffer(struct io_kiocb* request) {
  const struct io_async_msghdr* message = (const struct io_async_msghdr*)BPF_CORE_READ(request, async_data);
  if (message && bpf_core_field_exists(message->msg.msg_iter.ubuf))
    return (__u64)BPF_CORE_READ(message, msg.msg_iter.ubuf);
  const struct io_sr_msg* received = (const struct io_sr_msg*)request;
  if (message || !bpf_core_field_exists(received->buf)) return 0;
  return (__u64)BPF_CORE_READ(received, buf);
}

// What stands in `completions`.
__noinline int complete(void) {
  const __u32 zero = 0;
  const struct completion* completion = bpf_map_lookup_elem(&completions, &zero);
  if (!completion) return 0;
  const __u64 ring = completion->ring, user_data = completion->user_data;
  const __s32 result = completion->result;
  const __u32 flags = completion->flags;
  __u64 request = completion->request;
  if (!request) {
    const struct ring_and_data data = {.ring = ring, .user_data = user_data};
    const __u64* found = bpf_map_lookup_elem(&requests_by_data, &data);
    if (!found) return 0;
    request = *found;
  }
  struct operation* operation = bpf_map_lookup_elem(&operations, &request);
  if (!operation || operation->ring != ring || operation->user_data != user_data) return 0;
  const struct probe_syscall* row = &operation_rows[operation->opcode & (PROBE_OPERATIONS - 1)];
  struct probe_call* draft = draft_of(RING_OPERATION);
  if (!draft) return 0;
  const int makes = row->result_is_fd;
  struct sock* sk = (struct sock*)operation->socket;
  if (!operation->told) {
    if (!sk && operation->opcode != OPERATION_CLOSE) sk = tcp_socket_of(BPF_CORE_READ((struct io_kiocb*)request, file));
    if (sk) {
      fill_operation(draft, operation, PROBE_OPERATION_SUBMITTED);
      draft->head.at_ns = operation->id;
      tell_socket_of_operation(draft, sk);
      take_pieces(RING_OPERATION, row, 0);
      send_draft(RING_OPERATION);
      operation->told = 1;
      operation->socket = (__u64)sk;
    }
  }
  if (operation->told) {
    fill_operation(draft, operation, PROBE_OPERATION_COMPLETED);
    draft->result = result;
    draft->completion = flags;
    if ((flags & CQE_BUFFER) && operation->opcode == OPERATION_RECV)
      draft->arguments[OPERATION_ADDRESS] = chosen_buffer((struct io_kiocb*)request);
    if (makes)
      sk = socket_made((struct io_ring_ctx*)ring, operation, result);
    else if (row->closes)
      sk = 0;
    tell_socket_of_operation(draft, sk);
    take_pieces(RING_OPERATION, row, 1);
    send_draft(RING_OPERATION);
  }
  // More to come: of a multishot operation; or word that a zero-copy send no longer needs its buffer, which is not of interest.
  if (!(flags & CQE_MORE) || row->direct == PROBE_DIRECT_SEND) bpf_map_delete_elem(&operations, &request);
  return 0;
}

static __always_inline int tell_completion(__u64 ring, __u64 request, __u64 user_data, __s32 result, __u32 flags) {
  const __u32 zero = 0;
  struct completion* completion = bpf_map_lookup_elem(&completions, &zero);
  if (!completion) return 0;
  completion->ring = ring, completion->request = request, completion->user_data = user_data;
  completion->result = result, completion->flags = flags;
  return complete();
}

// Since 6.12 with the entry of the completion queue. The request may be null, which is why it is read as a number.
SEC("tp_btf/io_uring_complete")
int on_operation_completed(__u64* ctx) {
  struct io_uring_cqe* entry = (struct io_uring_cqe*)ctx[2];
  return tell_completion(ctx[0], ctx[1], BPF_CORE_READ(entry, user_data), BPF_CORE_READ(entry, res),
                         BPF_CORE_READ(entry, flags));
}

// Before: ctx, req, user_data, res, flags.
SEC("tp_btf/io_uring_complete")
int on_operation_completed_by_value(__u64* ctx) {
  return tell_completion(ctx[0], ctx[1], ctx[2], (__s32)ctx[3], (__u32)ctx[4]);
}

// The completion queue was full: the kernel keeps it until there is room.
SEC("tp_btf/io_uring_cqe_overflow")
int on_completion_waits(__u64* ctx) { return tell_completion(ctx[0], 0, ctx[1], (__s32)ctx[2], (__u32)ctx[3]); }
