// What all programs of the probe share: settings, maps, and how a socket and a segment are read.
#pragma once

// clang-format off: each needs those before it
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include "protocol.h"
#include "trace/machine/kernel_registers.bpf.h"
// clang-format on

#define AF_INET 2
#define AF_INET6 10
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86DD
#define IPPROTO_TCP 6
#define SOCK_STREAM 1
#define SOCK_RAW 3
#define S_IFMT 0170000
#define S_IFSOCK 0140000

// include/net/tcp_states.h
enum {
  TCP_ESTABLISHED = 1,
  TCP_SYN_SENT = 2,
  TCP_SYN_RECV = 3,
  TCP_TIME_WAIT = 6,
  TCP_CLOSE = 7,
  TCP_CLOSE_WAIT = 8,
  TCP_LISTEN = 10,
  TCP_NEW_SYN_RECV = 12
};

// Settings, fixed when the probe is loaded.
const volatile __u32 only_interesting = 0;  // 1: only what the maps below name; 0: everything
const volatile __u64 excluded_netns = 0;    // a network namespace (SO_NETNS_COOKIE) that is left out
const volatile __u8 terse =
    0;  // 1: PROBE_BRIEF records, PROBE_GONE for PROBE_DESTROYED; 0: PROBE_STACK_FRAMES of every segment too
const volatile __u8 lives = 0;                // 1: PROBE_STATE with what a life is told of (struct probe_state)
const volatile __u64 asked_cgroup = 0;        // id of a control group (version 2) whose processes are marked; 0: none
const volatile __u32 asked_cgroup_level = 0;  // how many it has above it
const volatile __u64 counted_netns = 0;  // SO_NETNS_COOKIE: where runs are counted that the kernel's MIB counts too
const volatile __u8 resets_by_segment =
    0;  // 1: the kernel tells of resets by full sockets only; they are counted as they leave
const volatile __u64 wake_above = 1 << 20;  // bytes in a ring from which on the reader is woken
const volatile __u32 last_ring = 0;         // there are as many and one, a power of two
const volatile __u32 user_stacks_a_second = 200;
const volatile __u32 reason_not_specified = 2;  // skb_drop_reason
const volatile __u32 reason_consumed = 1;
const volatile __u32 reason_queue_purge = 0;  // 0: this kernel has none

struct probe_counters counters = {};
__u64 woken_at[PROBE_RINGS] = {};  // position in each ring when the reader was woken last
__u64 stack_second = 0;
__u32 stacks_this_second = 0;

// A ring a processor, or for some: in one for all of them each record would wait for the ring's lock and for the memory that another
// processor has just written. The reader puts their records in order.
struct event_ring {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, PROBE_RINGS);
  __type(key, __u32);
  __array(values, struct event_ring);
} rings SEC(".maps");

// Processes (tgid) that are traced.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __type(key, __u32);
  __type(value, __u8);
} traced SEC(".maps");

// Processes that were found not to be: most calls are theirs, and to look here is cheaper than in a hash. A process is traced from its
// start, or from before the programs are attached.
enum { UNTRACED_PLACES = 1024 };
__u32 untraced[UNTRACED_PLACES] = {};

static __always_inline int is_traced(__u32 tgid) {
  __u32* place = &untraced[tgid & (UNTRACED_PLACES - 1)];
  if (*place == tgid) return 0;
  if (bpf_map_lookup_elem(&traced, &tgid)) return 1;
  *place = tgid;
  return 0;
}
static __always_inline void trace_process(__u32 tgid) {
  const __u8 one = 1;
  bpf_map_update_elem(&traced, &tgid, &one, BPF_ANY);
  __u32* place = &untraced[tgid & (UNTRACED_PLACES - 1)];
  if (*place == tgid) *place = 0;
}

// Sockets (address of struct sock) that are of interest.
enum socket_interest {
  OF_INTEREST = 1,
  FLOW_KNOWN,  // and the flow is in `flows`, or need not be
  TOLD_WHOLE,  // and the reader knows its cookie and addresses
  INTERESTS
};

// Each has one place where it may stand, as its address, a multiple of 8, plus its interest: cheaper than an entry of a hash, to look up
// and to make (docs/PERFORMANCE.md, "What makes the probe cheap"). Two processors may take the same one at once, and one of them loses it: so
// here stand only those that would be found again.
enum { SOCKET_PLACES_BITS = 13 };
struct socket_place socket_places[1 << SOCKET_PLACES_BITS] = {};

// What nothing but the call of a traced process tells, and what found its place taken.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, __u64);
  __type(value, __u8);
} sockets SEC(".maps");

// The verifier lets nobody reckon with what it knows for a pointer; what was in a map is a number again.
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} numbers SEC(".maps");

// Hides a value's history from the compiler, which else drops a bound that the verifier wants to see, or takes a number for the pointer
// that it equals.
#define FORGET(value) asm volatile("" : "+r"(value))

static __always_inline __u64 number_of(__u64 socket) {
  const __u32 zero = 0;
  volatile __u64* number = bpf_map_lookup_elem(&numbers, &zero);
  if (!number) return 0;
  // A hook that comes in between leaves its own.
  for (int tries = 0; tries < 2; ++tries) {
    *number = socket;
    const __u64 read = *number;
    __u64 found = read;
    FORGET(found);
    if (read == socket) return found;
  }
  return 0;
}
static __always_inline struct socket_place* place_of_number(__u64 number) {
  return &socket_places[number * 0x9e3779b97f4a7c15ULL >> (64 - SOCKET_PLACES_BITS)];
}

// enum socket_interest; 0: none is known.
static __always_inline __u8 interest_in(__u64 socket) {
  const __u64 number = number_of(socket);
  const struct socket_place* place = place_of_number(number);
  const __u64 interest = place->taken_by - number;
  if (number != 0 && interest < INTERESTS) return interest;
  if (!place->others_hashed) return 0;
  const __u8* known = bpf_map_lookup_elem(&sockets, &socket);
  return known ? *known : 0;
}
// 0: its place is another's.
static __always_inline int take_place(__u64 socket, __u8 interest) {
  const __u64 number = number_of(socket);
  struct socket_place* place = place_of_number(number);
  const __u64 found = place->taken_by;
  if (number == 0 || (found != 0 && found - number >= INTERESTS)) return 0;
  place->taken_by = number + interest;
  return 1;
}
static __always_inline void hash_interest(__u64 socket, __u8 interest) {
  place_of_number(number_of(socket))->others_hashed = 1;
  bpf_map_update_elem(&sockets, &socket, &interest, BPF_ANY);
}
// Whether it was known.
static __always_inline int forget_interest(__u64 socket) {
  const __u64 number = number_of(socket);
  struct socket_place* place = place_of_number(number);
  int known = 0;
  if (number != 0 && place->taken_by - number < INTERESTS) place->taken_by = 0, known = 1;
  if (place->others_hashed && bpf_map_delete_elem(&sockets, &socket) == 0) known = 1;
  return known;
}

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, struct probe_flow_key);
  __type(value, __u8);
} flows SEC(".maps");

// Ports on which traced processes listen.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, struct probe_port_key);
  __type(value, __u8);
} ports SEC(".maps");

static __always_inline __u32 own_ring(void) { return bpf_get_smp_processor_id() & last_ring; }

// The reader looks by the clock. It is woken when a ring fills up, and then once for each so many bytes: a wake-up is an interrupt,
// which costs more than all the rest, and a reader that has fallen behind isn't helped by one with each record. To look how full the
// ring is costs too: one record in sixteen does, by the clock's middle bits.
static __always_inline __u64 wake_flags(void* ring, __u32 number, __u64 at_ns) {
  if ((at_ns >> 6) & 15) return BPF_RB_NO_WAKEUP;
  if (bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) < wake_above) return BPF_RB_NO_WAKEUP;
  __u64* woken = &woken_at[number & (PROBE_RINGS - 1)];
  const __u64 position = bpf_ringbuf_query(ring, BPF_RB_PROD_POS);
  if (position - *woken < wake_above) return BPF_RB_NO_WAKEUP;
  *woken = position;
  return BPF_RB_FORCE_WAKEUP;
}

// A record into the ring; what does not fit is counted.
static __always_inline void put(const void* record, __u64 bytes, __u64 at_ns) {
  const __u32 number = own_ring();
  void* ring = bpf_map_lookup_elem(&rings, &number);
  if (!ring || bpf_ringbuf_output(ring, (void*)record, bytes, wake_flags(ring, number, at_ns)))
    __sync_fetch_and_add(&counters.lost_events, 1);
}

static __always_inline void fill_head(struct probe_head* head, __u8 kind) {
  const __u64 who = bpf_get_current_pid_tgid();
  head->at_ns = bpf_ktime_get_ns();
  head->kind = kind;
  head->flags = 0;
  head->reserved = 0;
  head->tid = (__u32)who;
  head->tgid = who >> 32;
  head->reserved2 = 0;
}

// A record in the ring, to be filled in and handed to SUBMIT; 0: it does not fit.
#define RESERVE_QUIETLY(type)                                            \
  ({                                                                     \
    const __u32 number = own_ring();                                     \
    void* ring = bpf_map_lookup_elem(&rings, &number);                   \
    ring ? bpf_ringbuf_reserve(ring, sizeof(struct type), 0) : (void*)0; \
  })
// The same with its head; what does not fit is counted.
#define RESERVE(type, kind_)                          \
  ({                                                  \
    struct type* record = RESERVE_QUIETLY(type);      \
    if (record)                                       \
      fill_head(&record->head, kind_);                \
    else                                              \
      __sync_fetch_and_add(&counters.lost_events, 1); \
    record;                                           \
  })
// Programs stay on their processor, so this is the ring that it was reserved in.
#define SUBMIT(record_)                                                                           \
  ({                                                                                              \
    const __u32 number = own_ring();                                                              \
    void* ring = bpf_map_lookup_elem(&rings, &number);                                            \
    const __u64 wake = ring ? wake_flags(ring, number, (record_)->head.at_ns) : BPF_RB_NO_WAKEUP; \
    bpf_ringbuf_submit(record_, wake);                                                            \
  })

// Since 6.2: a pointer that was found in memory is taken for one to such a type. Loads through it are plain ones, and a wrong one
// yields zeros, as bpf_probe_read_kernel() does, which costs ten times as much.
extern void* bpf_rdonly_cast(const void* pointer, __u32 type) __ksym __weak;
#define CAST(pointer, type) ((type*)bpf_rdonly_cast(pointer, bpf_core_type_id_kernel(type)))
// A member of struct tcp_sock.
#define READ_TCP(sk, member) \
  (bpf_rdonly_cast ? CAST(sk, struct tcp_sock)->member : BPF_CORE_READ((struct tcp_sock*)(sk), member))

// Of the running process.
static __always_inline struct file* file_of(__s64 fd) {
  struct file **files = 0, *file = 0;
  unsigned int count = 0;
  if (bpf_core_enum_value_exists(enum bpf_func_id,
                                 BPF_FUNC_get_current_task_btf)) {  // plain loads: a fraction of the cost
    const struct fdtable* table = bpf_get_current_task_btf()->files->fdt;
    files = table->fd, count = table->max_fds;
  } else {
    const struct task_struct* task = (void*)bpf_get_current_task();
    const struct fdtable* table = BPF_CORE_READ(task, files, fdt);
    files = BPF_CORE_READ(table, fd), count = BPF_CORE_READ(table, max_fds);
  }
  if (fd < 0 || fd >= count) return 0;
  if (bpf_rdonly_cast) return (struct file*)CAST(files + fd, struct hlist_head)->first;  // any struct of one pointer
  bpf_probe_read_kernel(&file, sizeof(file), files + fd);
  return file;
}

// Makes a PROBE_BRIEF record of one that begins with its head and its socket; returns where it begins.
static __always_inline void* shorten(void* record) {
  struct probe_head* head = record + PROBE_BRIEF_SAVES;
  *head = *(struct probe_head*)record;
  head->flags |= PROBE_BRIEF;
  return head;
}

static __always_inline void clear(void* memory, __u32 length) { __builtin_memset(memory, 0, length); }

// Reads by BPF_CORE_READ, so that any pointer will do: what a hook hands over, or what was found in a descriptor table.
// Requests (TCP_NEW_SYN_RECV) and TIME-WAIT entries have only the common part.
static __always_inline void fill_socket(struct probe_socket* out, struct sock* sk) {
  clear(out, sizeof(*out));
  out->pointer = (__u64)sk;
  out->cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
  out->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie);
  out->family = BPF_CORE_READ(sk, __sk_common.skc_family);
  out->state = BPF_CORE_READ(sk, __sk_common.skc_state);
  out->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
  out->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
  if (out->family == AF_INET6) {
    BPF_CORE_READ_INTO(&out->local, sk, __sk_common.skc_v6_rcv_saddr);
    BPF_CORE_READ_INTO(&out->remote, sk, __sk_common.skc_v6_daddr);
  } else {
    BPF_CORE_READ_INTO(&out->local, sk, __sk_common.skc_rcv_saddr);
    BPF_CORE_READ_INTO(&out->remote, sk, __sk_common.skc_daddr);
  }
  if (out->state == TCP_TIME_WAIT || out->state == TCP_NEW_SYN_RECV) return;
  if (out->local_port == 0) out->local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock*)sk, inet_sport));
  out->owned = BPF_CORE_READ(sk, sk_lock.owned) != 0;
}

// Without a namespace: the two ends of a connection may live in two.
// `key` must be clear. Global.
__noinline int flow_key(struct probe_flow_key* key, const struct probe_socket* s) {
  if (!key || !s) return 0;
  const __u64 *local = (const __u64*)s->local, *remote = (const __u64*)s->remote;
  // An IPv4-mapped address counts as the IPv4 address it means.
  __u64 a0 = local[0], a1 = local[1], b0 = remote[0], b1 = remote[1];
  if (s->family == AF_INET6) {
    if (a0 == 0 && (__u32)a1 == bpf_htonl(0xffff)) a0 = a1 >> 32, a1 = 0;
    if (b0 == 0 && (__u32)b1 == bpf_htonl(0xffff)) b0 = b1 >> 32, b1 = 0;
  }
  const __u32 local_low =
      s->local_port < s->remote_port || (s->local_port == s->remote_port && (a0 < b0 || (a0 == b0 && a1 <= b1)));
  __u64 *low = (__u64*)key->low, *high = (__u64*)key->high;
  low[0] = local_low ? a0 : b0, low[1] = local_low ? a1 : b1;
  high[0] = local_low ? b0 : a0, high[1] = local_low ? b1 : a1;
  key->low_port = local_low ? s->local_port : s->remote_port;
  key->high_port = local_low ? s->remote_port : s->local_port;
  return 0;
}

static __always_inline int port_is_wanted(__u64 netns, __u32 port) {
  const struct probe_port_key key = {.netns = netns, .port = port};
  return port != 0 && bpf_map_lookup_elem(&ports, &key) != 0;
}
// A client's port is seldom one that is listened on: the remote one first.
static __always_inline int a_port_is_wanted(const struct probe_socket* s) {
  return port_is_wanted(s->netns, s->remote_port) || port_is_wanted(s->netns, s->local_port);
}

// So that the socket of the other end is found.
static __always_inline void remember_flow(const struct probe_socket* s) {
  struct probe_flow_key key = {};
  const __u8 one = 1;
  if (s->local_port == 0 || s->remote_port == 0) return;
  flow_key(&key, s);
  // The other end may have been here; to update an entry costs as much as to make one.
  if (!bpf_map_lookup_elem(&flows, &key)) bpf_map_update_elem(&flows, &key, &one, BPF_ANY);
}

// Whether the other end is in the same network namespace, where a port that is wanted is wanted of both.
static __always_inline int stays_in_namespace(const struct probe_socket* s) {
  enum { LOOPBACK_NET = 127 };
  if (s->family == AF_INET && (s->local[0] == LOOPBACK_NET || s->remote[0] == LOOPBACK_NET)) return 1;
  const __u64 *local = (const __u64*)s->local, *remote = (const __u64*)s->remote;
  return local[0] == remote[0] && local[1] == remote[1];
}

// 0: no; else enum socket_interest. Whoever asks tells the socket whole, unless it has been. Global, as what is asked in several places is:
// the verifier looks at it once, and not for each place and all that may be known there.
__noinline int is_interesting(const struct probe_socket* s) {
  if (!s) return 0;
  if (excluded_netns && s->netns == excluded_netns) return 0;
  if (!only_interesting) return OF_INTEREST;
  const int connected = s->remote_port != 0 && s->local_port != 0;
  const __u8 now = !connected ? OF_INTEREST : s->cookie == 0 ? FLOW_KNOWN : TOLD_WHOLE;
  const __u8 before = s->pointer ? interest_in(s->pointer) : 0;
  // Without a state it is a drop's: told as the segment has them.
  if (before == TOLD_WHOLE || (before && (before >= now || s->state == 0))) return before;
  const int port_is_wanted = before <= OF_INTEREST && a_port_is_wanted(s);
  if (before == OF_INTEREST || port_is_wanted) {
    if (connected && !(port_is_wanted && stays_in_namespace(s))) remember_flow(s);
  } else if (before == 0) {
    struct probe_flow_key key = {};
    flow_key(&key, s);
    if (s->remote_port == 0 || !bpf_map_lookup_elem(&flows, &key)) return 0;
  }
  // Entries and requests are destroyed without a word.
  if (s->pointer && s->state != 0 && s->state != TCP_TIME_WAIT && s->state != TCP_NEW_SYN_RECV)
    if (!take_place(s->pointer, now)) hash_interest(s->pointer, now);
  return before ? before : OF_INTEREST;
}

// Where a packet lies.
struct packet_place {
  const unsigned char *head, *data;
  __u32 length;
  __u16 transport, network;
};
// `skb` must be what the hook itself hands over.
static __always_inline struct packet_place place_of_trusted(const struct sk_buff* skb) {
  return (struct packet_place){.head = skb->head,
                               .data = skb->data,
                               .length = skb->len,
                               .transport = skb->transport_header,
                               .network = skb->network_header};
}
static __always_inline struct packet_place place_of(const struct sk_buff* skb) {
  return (struct packet_place){.head = BPF_CORE_READ(skb, head),
                               .data = BPF_CORE_READ(skb, data),
                               .length = BPF_CORE_READ(skb, len),
                               .transport = BPF_CORE_READ(skb, transport_header),
                               .network = BPF_CORE_READ(skb, network_header)};
}

static __always_inline void fill_facts(struct probe_segment_facts* facts, const struct packet_place* at,
                                       const __u8* tcp) {
  facts->seq = (__u32)tcp[4] << 24 | tcp[5] << 16 | tcp[6] << 8 | tcp[7];
  facts->ack = (__u32)tcp[8] << 24 | tcp[9] << 16 | tcp[10] << 8 | tcp[11];
  facts->flags = tcp[13];
  facts->reserved[0] = facts->reserved[1] = facts->reserved[2] = 0;
  const __s64 headers = (at->head + at->transport) - at->data + (tcp[12] >> 4) * 4;
  const __s64 length = (__s64)at->length - headers;
  facts->length = length > 0 ? length : 0;
}

// Of a packet that is known to be TCP's. 0: it has no header yet.
static __always_inline int read_facts(const struct packet_place* at, struct probe_segment_facts* facts) {
  __u8 tcp[16];
  if (at->transport == 0xffff || at->transport <= at->network) return 0;
  if (bpf_probe_read_kernel(tcp, sizeof(tcp), at->head + at->transport)) return 0;
  fill_facts(facts, at, tcp);
  return 1;
}

// The TCP header of a packet, and its addresses as the socket that sends it (or, `arriving`, takes it in) would have them.
// 0: no TCP. Global.
__noinline int read_packet(const struct packet_place* at, int arriving, struct probe_socket* s,
                           struct probe_segment_facts* facts) {
  if (!at || !s || !facts) return 0;
  __u8 ip[40], tcp[16];
  if (at->transport == 0xffff || at->transport <= at->network) return 0;
  if (bpf_probe_read_kernel(ip, 40, at->head + at->network)) return 0;  // of IPv4's, some of what follows
  if (at->transport - at->network == 20)
    __builtin_memcpy(tcp, ip + 20, sizeof(tcp));
  else if (bpf_probe_read_kernel(tcp, sizeof(tcp), at->head + at->transport))
    return 0;
  __u8 *const local = arriving ? s->remote : s->local, *const remote = arriving ? s->local : s->remote;
  clear(s->local, 16), clear(s->remote, 16);
  if (ip[0] >> 4 == 4) {
    if (ip[9] != IPPROTO_TCP) return 0;
    s->family = AF_INET;
    __builtin_memcpy(local, ip + 12, 4), __builtin_memcpy(remote, ip + 16, 4);
  } else if (ip[0] >> 4 == 6) {
    if (ip[6] != IPPROTO_TCP) return 0;
    s->family = AF_INET6;
    __builtin_memcpy(local, ip + 8, 16), __builtin_memcpy(remote, ip + 24, 16);
  } else {
    return 0;
  }
  const __u16 source = tcp[0] << 8 | tcp[1], destination = tcp[2] << 8 | tcp[3];
  s->local_port = arriving ? destination : source;
  s->remote_port = arriving ? source : destination;
  fill_facts(facts, at, tcp);
  return 1;
}

static __always_inline int read_segment(struct sk_buff* skb, int arriving, struct probe_socket* s,
                                        struct probe_segment_facts* facts) {
  const struct packet_place place = place_of(skb);
  if (!read_packet(&place, arriving, s, facts)) return 0;
  if (s->netns == 0) s->netns = BPF_CORE_READ(skb, dev, nd_net.net, net_cookie);  // for segments of no socket
  return 1;
}
