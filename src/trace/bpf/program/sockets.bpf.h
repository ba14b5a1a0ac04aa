// What the kernel does to sockets and segments.
#pragma once

#include "calls.bpf.h"
#include "common.bpf.h"
#include "paths.bpf.h"

// Generates the cookie where there is none yet, so that all sources call the socket by the same name.
// Of a pointer that the hook vouches for: plain loads, which cost a fraction of what fill_socket()'s reads do.
static __always_inline void fill_trusted(struct probe_socket* out, struct sock* sk) {
  clear(out, sizeof(*out));
  out->cookie = sk->__sk_common.skc_cookie.counter;
  if (out->cookie == 0) out->cookie = bpf_get_socket_cookie(sk);
  out->pointer = (__u64)sk;
  out->netns = sk->__sk_common.skc_net.net->net_cookie;
  out->family = sk->__sk_common.skc_family;
  out->state = sk->__sk_common.skc_state;
  out->local_port = sk->__sk_common.skc_num;
  out->remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
  if (out->family == AF_INET6) {
    BPF_CORE_READ_INTO(&out->local, sk, __sk_common.skc_v6_rcv_saddr);
    BPF_CORE_READ_INTO(&out->remote, sk, __sk_common.skc_v6_daddr);
  } else {
    *(__be32*)out->local = sk->__sk_common.skc_rcv_saddr;
    *(__be32*)out->remote = sk->__sk_common.skc_daddr;
  }
  if (out->local_port == 0) out->local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock*)sk, inet_sport));
  out->owned = sk->sk_lock.owned != 0;
}

static __always_inline int is_tcp(const struct sock* sk) {
  const __u16 family = sk->__sk_common.skc_family;
  return (family == AF_INET || family == AF_INET6) && sk->sk_protocol == IPPROTO_TCP;
}

static __always_inline __u8 exiting(void) {
  enum { PF_EXITING = 4 };
  if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
    return (bpf_get_current_task_btf()->flags & PF_EXITING) ? PROBE_EXITING : 0;
  const struct task_struct* task = (void*)bpf_get_current_task();
  return (BPF_CORE_READ(task, flags) & PF_EXITING) ? PROBE_EXITING : 0;
}

// The running process is in a call on the socket: its name goes to `comm`. 0: a thread of the kernel's is, which is nobody's program.
static __always_inline __u8 in_call_of(char (*comm)[16]) {
  enum { PF_KTHREAD = 0x00200000 };
  const struct task_struct* task = (void*)bpf_get_current_task();
  const __u32 flags = BPF_CORE_READ(task, flags);
  if (flags & PF_KTHREAD) return 0;
  const struct task_struct* leader = BPF_CORE_READ(task, group_leader);
  BPF_CORE_READ_INTO(comm, leader, comm);
  const int in_cgroup = asked_cgroup && bpf_get_current_ancestor_cgroup_id(asked_cgroup_level) == asked_cgroup;
  return PROBE_IN_CALL | exiting() | (in_cgroup ? PROBE_IN_CGROUP : 0);
}

// Whether context alone tells what makes the segment leave, so that the stack, which costs microseconds, need not be asked: enum
// probe_direct. A socket is owned (sk_lock.owned) by a thread inside a call on it; whoever else finds it so (softirq, timers) leaves
// segments and work to that thread. So a segment of an owned socket is sent by the running thread. If it has not been sent before
// (snd_nxt), is the newest of all (write_seq) and nothing is being taken from the backlog (release_sock() empties that with
// sk_backlog.len still set), then what the thread's call has just put into the send queue is what leaves.
static __always_inline __u8 directly_sent_by(struct sock* sk, const struct probe_segment_facts* facts) {
  enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };
  if (sk->sk_lock.owned == 0 || sk->sk_backlog.len != 0 || (facts->flags & RST)) return PROBE_NOT_DIRECT;
  const __u64 number = running_call();
  if (number >= PROBE_SYSCALLS) return PROBE_NOT_DIRECT;
  const __u8 direct = syscalls[number & (PROBE_SYSCALLS - 1)].direct;
  if (direct == PROBE_NOT_DIRECT) return PROBE_NOT_DIRECT;
  if (facts->flags & SYN) {
    const int first = (facts->flags & ACK) == 0 && READ_TCP(sk, total_retrans) == 0;
    return direct == PROBE_DIRECT_CONNECT && first ? direct : PROBE_NOT_DIRECT;
  }
  const __u32 next = READ_TCP(sk, snd_nxt), end = READ_TCP(sk, write_seq);
  if (facts->seq != next) return PROBE_NOT_DIRECT;
  if (facts->flags & FIN) {
    const int alone = facts->length == 0 && facts->seq + 1 == end;
    return alone && (direct == PROBE_DIRECT_CLOSE || direct == PROBE_DIRECT_SHUTDOWN) ? direct : PROBE_NOT_DIRECT;
  }
  const int newest = facts->length != 0 && facts->seq + facts->length == end;
  return newest && direct == PROBE_DIRECT_SEND ? direct : PROBE_NOT_DIRECT;
}

// Of a socket that has been told whole the rest need not be read. Where all are of interest it isn't asked: the answer would have to be
// fetched from the processor of the socket's other end, and costs more than to tell the socket.
static __always_inline int is_told(const struct sock* sk) {
  return only_interesting && terse && interest_in((__u64)sk) == TOLD_WHOLE;
}

// Whether the segment came to this device without passing another (a tunnel, a bridge), as far as that is known.
static __always_inline int is_sockets_device(struct sk_buff* skb, struct sock* sk) {
  enum { LOOPBACK = 8 };
  if (skb->dev->flags & LOOPBACK) return 1;
  return sk && BPF_CORE_READ(sk, sk_dst_cache, dev) == skb->dev;
}

// Segments with a stack are put together here: only as many frames as there are go into the ring. Only on_segment() uses it, which
// can't interrupt itself.
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct probe_segment);
} segment_drafts SEC(".maps");

// `sk`: the full socket that sends it; 0: a request, an entry or nobody.
static __always_inline void send_segment(void* ctx, struct sk_buff* skb, struct sock* sk, int told,
                                         const struct probe_socket* socket, const struct probe_segment_facts* facts) {
  const __u32 zero = 0;
  struct probe_segment* draft = bpf_map_lookup_elem(&segment_drafts, &zero);
  if (!draft) return;
  fill_head(&draft->head, PROBE_SEGMENT);
  if (told)
    draft->socket.pointer = (__u64)sk;
  else
    draft->socket = *socket;
  draft->facts = *facts;
  draft->call = sk && sk->sk_lock.owned != 0 ? call_on(sk) : 0;
  draft->direct = sk ? directly_sent_by(sk, facts) : PROBE_NOT_DIRECT;
  draft->path = 0;
  draft->frames = 0;
  __u64 bytes = 0;
  if (draft->direct == PROBE_NOT_DIRECT) {
    draft->head.flags = exiting();
    const __u64 place = place_of_stack(ctx);
    draft->path = known_path(place);
    if (draft->path == 0) {
      // Who carries an io_uring operation out stands far out in the stack. Each frame costs, also of those that are only walked past.
      const int deep = !terse || rings_are_used || !is_sockets_device(skb, sk);
      const long taken =
          bpf_get_stack(ctx, draft->stack, deep ? sizeof(draft->stack) : PROBE_SHALLOW_FRAMES * sizeof(__u64), 0);
      if (taken > 0) bytes = draft->frames = taken;
      FORGET(bytes);
      if (bytes > sizeof(draft->stack)) return;
      if (!deep) send_path_sample(place, draft->stack, bytes);
    }
  }
  bytes += __builtin_offsetof(struct probe_segment, stack);
  if (told) {
    bytes -= PROBE_BRIEF_SAVES;
    FORGET(bytes);
    if (bytes > sizeof(*draft) - PROBE_BRIEF_SAVES) return;
    put(shorten(draft), bytes, draft->head.at_ns);
  } else {
    FORGET(bytes);
    if (bytes > sizeof(*draft)) return;
    put(draft, bytes, draft->head.at_ns);
  }
}

static __always_inline void count_reset(const struct probe_segment_facts* facts, __u64 netns) {
  enum { RST = 4 };
  if (resets_by_segment && (facts->flags & RST) && netns == counted_netns)
    __sync_fetch_and_add(&counters.resets_sent, 1);
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(on_segment, struct sk_buff* skb) {
  struct sock* sk = skb->sk;
  if (!sk) return 0;
  const __u16 family = sk->__sk_common.skc_family;
  if (family != AF_INET && family != AF_INET6) return 0;
  const __u8 state = sk->__sk_common.skc_state;
  const int full = state != TCP_NEW_SYN_RECV && state != TCP_TIME_WAIT;
  const int nobody =
      full && sk->sk_type == SOCK_RAW;  // the kernel's own, for answers without a socket (inet_ctl_sock_create())
  if (full && !nobody && sk->sk_protocol != IPPROTO_TCP) return 0;
  // An answer to a segment that a listener refuses may be the listener's (Linux 6.18). Its addresses are not: it is only named.
  const int refuses = state == TCP_LISTEN;
  struct sock* const sender = full && !nobody ? sk : 0;
  struct probe_segment_facts facts;
  const struct packet_place place = place_of_trusted(skb);
  if (sender && is_told(sender)) {
    if (!read_facts(&place, &facts)) return 0;
    count_reset(&facts, sk->__sk_common.skc_net.net->net_cookie);
    send_segment(ctx, skb, sender, 1, 0, &facts);
    return 0;
  }
  struct probe_socket socket;
  clear(&socket, sizeof(socket));
  if (!read_packet(&place, 0, &socket, &facts)) return 0;
  socket.netns = sk->__sk_common.skc_net.net->net_cookie;
  count_reset(&facts, socket.netns);
  socket.state = state;
  if (!nobody) {
    if (!refuses) socket.pointer = (__u64)sk;
    socket.cookie = sk->__sk_common.skc_cookie.counter;  // on_state() has had it generated
    if (full) socket.owned = sk->sk_lock.owned != 0;
  }
  if (is_interesting(&socket) || (refuses && interest_in((__u64)sk)))
    send_segment(ctx, skb, sender, 0, &socket, &facts);
  return 0;
}

static __always_inline void count_end(const struct sock* sk, int old_state, int new_state) {
  if (new_state != TCP_CLOSE || (old_state != TCP_ESTABLISHED && old_state != TCP_CLOSE_WAIT)) return;
  if (sk->__sk_common.skc_net.net->net_cookie == counted_netns) __sync_fetch_and_add(&counters.established_ended, 1);
}

// As far as `end`, a member of struct probe_state.
#define PUT_STATE(record, brief, end)                                          \
  ({                                                                           \
    const __u64 bytes = end;                                                   \
    if (brief)                                                                 \
      put(shorten(&(record)), bytes - PROBE_BRIEF_SAVES, (record).head.at_ns); \
    else                                                                       \
      put(&(record), bytes, (record).head.at_ns);                              \
  })

// 1: the peer's FIN has come, which the kernel counts as a byte received (tcp_fin() sets the flag).
static __always_inline __u32 counted_fin(const struct sock* sk) {
  enum { SOCK_DONE = 1 };  // enum sock_flags
  return BPF_CORE_READ(sk, __sk_common.skc_flags) >> SOCK_DONE & 1;
}

// What is known of one that begins is another's that had its address, and whose end was missed; of one that connects anew (after
// connect(AF_UNSPEC)), that it is of interest.
static __always_inline void begins(struct sock* sk, int new_state) {
  const __u64 pointer = (__u64)sk;
  if (interest_in(pointer) <= OF_INTEREST) return;
  forget_interest(pointer);
  if (new_state == TCP_SYN_SENT) hash_interest(pointer, OF_INTEREST);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, struct sock* sk, int old_state, int new_state) {
  if (!is_tcp(sk)) return 0;
  count_end(sk, old_state, new_state);
  if (only_interesting && (new_state == TCP_SYN_SENT || new_state == TCP_SYN_RECV)) begins(sk, new_state);
  struct probe_state record;
  const int brief = new_state != TCP_LISTEN && is_told(sk);
  if (brief) {
    record.socket.pointer = (__u64)sk;
  } else {
    fill_trusted(&record.socket, sk);
    // One that connects again, not bound, has the last connection's source port until inet_hash_connect() has chosen another.
    if (new_state == TCP_SYN_SENT) record.socket.local_port = sk->__sk_common.skc_num;
    // A listener of a traced process: whoever knocks there is of interest.
    const __u32 tgid = bpf_get_current_pid_tgid() >> 32;
    if (only_interesting && new_state == TCP_LISTEN && is_traced(tgid)) {
      const struct probe_port_key key = {.netns = record.socket.netns, .port = record.socket.local_port};
      const __u8 one = 1;
      bpf_map_update_elem(&ports, &key, &one, BPF_ANY);
    }
    if (!is_interesting(&record.socket)) return 0;
  }
  fill_head(&record.head, PROBE_STATE);
  record.old_state = old_state;
  record.new_state = new_state;
  if (!lives) {
    PUT_STATE(record, brief, __builtin_offsetof(struct probe_state, comm));
    return 0;
  }
  // A socket that is not owned is being served by whoever happens to run.
  const int owned = sk->sk_lock.owned != 0 || new_state == TCP_SYN_SENT || new_state == TCP_LISTEN;
  clear(record.comm, sizeof(record.comm));
  if (owned) record.head.flags = in_call_of(&record.comm);
  const int in_call = record.head.flags != 0;
  if (new_state == TCP_CLOSE) {
    record.bytes_sent = READ_TCP(sk, bytes_acked);
    record.bytes_received = READ_TCP(sk, bytes_received) - counted_fin(sk);
    record.retransmissions = READ_TCP(sk, total_retrans);
    record.srtt_us = READ_TCP(sk, srtt_us) >> 3;
    PUT_STATE(record, brief, sizeof(record));
  } else if (in_call) {
    PUT_STATE(record, brief, __builtin_offsetof(struct probe_state, bytes_sent));
  } else {
    PUT_STATE(record, brief, __builtin_offsetof(struct probe_state, comm));
  }
  return 0;
}

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct probe_reset);
} reset_drafts SEC(".maps");

// What tells closes apart that reset, where the kernel gives no reason. close() empties the receive queue without counting it as read.
static __always_inline void read_why(struct probe_reset* record, struct sock* sk) {
  const struct tcp_sock* tcp = (const struct tcp_sock*)sk;
  const __u32 fin = counted_fin(sk);
  const __u32 unread = BPF_CORE_READ(tcp, rcv_nxt) - BPF_CORE_READ(tcp, copied_seq);
  record->unread = unread > fin ? unread - fin : 0;
  record->linger2_below_zero = BPF_CORE_READ(tcp, linger2) < 0;
}

static __always_inline int send_reset_record(void* ctx, struct sock* sk, struct sk_buff* skb, __u32 reason) {
  struct probe_socket socket;
  struct probe_segment_facts facts;
  clear(&socket, sizeof(socket));
  clear(&facts, sizeof(facts));
  facts.length = ~0U;
  if (sk) fill_socket(&socket, sk);
  if (skb) {
    // No socket, a listener, or an entry: the segment that provoked it names the connection.
    if (socket.remote_port == 0 || socket.local_port == 0) {
      if (!read_segment(skb, 1, &socket, &facts)) return 0;
    } else {
      struct probe_socket same;
      clear(&same, sizeof(same));
      read_segment(skb, 1, &same, &facts);
    }
  }
  if (socket.family == 0) return 0;
  if (!resets_by_segment && socket.netns == counted_netns) __sync_fetch_and_add(&counters.resets_sent, 1);
  // Addresses that are a segment's are no listener's: it is only named.
  const int refuses = skb && socket.state == TCP_LISTEN;
  if (refuses) socket.pointer = 0;
  if (!is_interesting(&socket) && !(refuses && interest_in((__u64)sk))) return 0;
  const __u32 zero = 0;
  struct probe_reset* record = bpf_map_lookup_elem(&reset_drafts, &zero);
  if (!record) return 0;
  fill_head(&record->head, PROBE_RESET_SENT);
  record->socket = socket;
  record->call = sk ? call_on(sk) : 0;
  record->reason = reason;
  record->active = skb == 0;
  record->answered = facts.length;
  record->unread = 0, record->linger2_below_zero = 0;
  if (record->active && sk) read_why(record, sk);
  __u64 bytes = 0;
  record->frames = 0;
  if (lives) {
    const long taken = bpf_get_stack(ctx, record->stack, sizeof(record->stack), 0);
    if (taken > 0) bytes = record->frames = taken;
    FORGET(bytes);
    if (bytes > sizeof(record->stack)) return 0;
  }
  put(record, __builtin_offsetof(struct probe_reset, stack) + bytes, record->head.at_ns);
  return 0;
}

// Since 6.10 with a reason. The pointers may be null, which older verifiers don't know: they are read as numbers.
SEC("tp_btf/tcp_send_reset")
int on_reset_sent(__u64* ctx) {
  return send_reset_record(ctx, (struct sock*)ctx[0], (struct sk_buff*)ctx[1], (__u32)ctx[2]);
}

SEC("tp_btf/tcp_send_reset")
int on_reset_sent_without_reason(__u64* ctx) {
  return send_reset_record(ctx, (struct sock*)ctx[0], (struct sk_buff*)ctx[1], ~0U);
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(on_reset_received, struct sock* sk) {
  struct probe_socket socket;
  fill_trusted(&socket, sk);
  if (!is_interesting(&socket)) return 0;
  const __u32 zero = 0;
  struct probe_reset* record = bpf_map_lookup_elem(&reset_drafts, &zero);
  if (!record) return 0;
  fill_head(&record->head, PROBE_RESET_RECEIVED);
  record->socket = socket;
  record->call = call_on(sk);
  record->reason = ~0U;
  record->active = 0;
  record->unread = 0, record->linger2_below_zero = 0;
  record->frames = 0, record->answered = ~0U;
  put(record, __builtin_offsetof(struct probe_reset, stack), record->head.at_ns);
  return 0;
}

SEC("tp_btf/inet_sk_error_report")
int BPF_PROG(on_socket_error, struct sock* sk) {
  if (!is_tcp(sk)) return 0;
  struct probe_socket socket;
  fill_trusted(&socket, sk);
  if (!is_interesting(&socket)) return 0;
  struct probe_error* record = RESERVE(probe_error, PROBE_SOCKET_ERROR);
  if (!record) return 0;
  record->socket = socket;
  record->error = sk->sk_err;
  record->send_window = READ_TCP(sk, snd_wnd);
  record->probes_waiting = READ_TCP(sk, inet_conn.icsk_probes_out);
  record->reserved = 0;
  SUBMIT(record);
  return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(on_destroyed, struct sock* sk) {
  if (terse) {
    const __u64 pointer = (__u64)sk;
    if (only_interesting && !forget_interest(pointer)) return 0;
    if (lives) {
      struct probe_gone gone;
      clear(&gone, sizeof(gone));
      fill_head(&gone.head, PROBE_GONE);
      gone.socket = pointer;
      if (is_tcp(sk) && sk->sk_lock.owned != 0) gone.head.flags = in_call_of(&gone.comm);
      put(&gone, sizeof(gone), gone.head.at_ns);
      return 0;
    }
    struct probe_gone* record = RESERVE(probe_gone, PROBE_GONE);
    if (!record) return 0;
    record->socket = pointer;
    clear(record->comm, sizeof(record->comm));
    SUBMIT(record);
    return 0;
  }
  struct probe_socket socket;
  fill_trusted(&socket, sk);
  if (!is_interesting(&socket)) return 0;
  struct probe_destroyed* record = RESERVE(probe_destroyed, PROBE_DESTROYED);
  if (!record) return 0;
  record->socket = socket;
  SUBMIT(record);
  return 0;
}

static __always_inline int send_drop(struct sk_buff* skb, __u64 location, __u32 reason, struct sock* taker) {
  if (reason == reason_not_specified || reason <= reason_consumed) return 0;
  const __u16 protocol = bpf_ntohs(BPF_CORE_READ(skb, protocol));
  if (protocol != ETH_P_IP && protocol != ETH_P_IPV6) return 0;
  // A FIN that nobody was going to read: each connection's receive queue ends with one.
  if (reason == reason_queue_purge && BPF_CORE_READ(skb, len) == 0) return 0;
  struct probe_socket socket;
  struct probe_segment_facts facts;
  clear(&socket, sizeof(socket));
  // No interface has taken it in, and its sender still answers for it: it was on its way out, where it need not have a device yet.
  struct sock* sender = BPF_CORE_READ(skb, skb_iif) == 0 ? BPF_CORE_READ(skb, sk) : 0;
  struct sock* owner = sender ? sender : taker;
  if (owner) {
    socket.pointer = (__u64)owner;
    socket.cookie = BPF_CORE_READ(owner, __sk_common.skc_cookie.counter);
    socket.netns = BPF_CORE_READ(owner, __sk_common.skc_net.net, net_cookie);
  }
  if (!read_segment(skb, sender == 0, &socket, &facts)) return 0;
  if (!is_interesting(&socket)) return 0;
  struct probe_drop* record = RESERVE(probe_drop, PROBE_DROP);
  if (!record) return 0;
  record->socket = socket;
  record->facts = facts;
  record->location = location;
  record->reason = reason;
  record->sent = sender != 0;
  SUBMIT(record);
  return 0;
}

// The reason since 5.17, the socket since 6.11.
SEC("tp_btf/kfree_skb")
int on_drop(__u64* ctx) { return send_drop((struct sk_buff*)ctx[0], ctx[1], (__u32)ctx[2], (struct sock*)ctx[3]); }

SEC("tp_btf/kfree_skb")
int on_drop_without_socket(__u64* ctx) { return send_drop((struct sk_buff*)ctx[0], ctx[1], (__u32)ctx[2], 0); }
