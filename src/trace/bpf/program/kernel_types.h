// The kernel's types, cut down to the members that the probe reads. preserve_access_index: libbpf moves each access to where
// the member is in the running kernel (CO-RE), so neither the order nor the rest matters.
// A member that some kernels lack is asked for by bpf_core_field_exists() first.
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

// The definitions of <linux/bpf.h> that the programs use; the header itself brings types that clash with the above.
enum bpf_map_type_used {
  BPF_MAP_TYPE_HASH = 1,
  BPF_MAP_TYPE_ARRAY = 2,
  BPF_MAP_TYPE_PERCPU_ARRAY = 6,
  BPF_MAP_TYPE_LRU_HASH = 9,
  BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
  BPF_MAP_TYPE_RINGBUF = 27,
};
// Helpers that came later than 5.8 (the values are looked up in the running kernel's own enum).
enum bpf_func_id { BPF_FUNC_get_current_task_btf = 158, BPF_FUNC_task_pt_regs = 175 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2, BPF_RB_AVAIL_DATA = 0, BPF_RB_PROD_POS = 3 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_head {
  struct hlist_node* first;
};
struct timespec64 {
  __s64 tv_sec;
};

struct in6_addr {
  union {
    __u8 u6_addr8[16];
  } in6_u;
};

typedef struct {
  int counter;
} atomic_t;
typedef struct {
  __s64 counter;
} atomic64_t;

struct net {
  __u64 net_cookie;
};
typedef struct {
  struct net* net;
} possible_net_t;

struct sock_common {
  __be32 skc_daddr;
  __be32 skc_rcv_saddr;
  __be16 skc_dport;
  __u16 skc_num;
  unsigned short skc_family;
  volatile unsigned char skc_state;
  possible_net_t skc_net;
  unsigned long skc_flags;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
  atomic64_t skc_cookie;
};

typedef struct {
  int owned;
} socket_lock_t;

struct dst_entry {
  struct net_device* dev;
};
struct socket;
struct sock {
  struct dst_entry* sk_dst_cache;
  struct sock_common __sk_common;
  socket_lock_t sk_lock;
  struct {
    int len;
  } sk_backlog;
  __u16 sk_type;
  __u16 sk_protocol;
  int sk_err;
  __u8 sk_shutdown;
  struct socket* sk_socket;
  __u32 sk_ack_backlog;
  __u32 sk_max_ack_backlog;
};

struct inet_sock {
  struct sock sk;
  __be16 inet_sport;
};

struct inet_connection_sock {
  struct inet_sock icsk_inet;
  __u8 icsk_retransmits;
  __u8 icsk_probes_out;
};

struct tcp_sock {
  struct inet_connection_sock inet_conn;
  __u32 snd_nxt;
  __u32 snd_wnd;
  __u32 write_seq;
  __u64 bytes_acked;
  __u64 bytes_received;
  __u32 total_retrans;
  __u32 srtt_us;
  __u32 rcv_nxt;
  __u32 copied_seq;
  int linger2;
};

struct request_sock {
  struct sock_common __req_common;
};

struct net_device {
  unsigned int flags;
  possible_net_t nd_net;
};

struct sk_buff {
  struct net_device* dev;
  struct sock* sk;
  unsigned int len;
  int skb_iif;
  __be16 protocol;
  __u16 transport_header;
  __u16 network_header;
  unsigned char* head;
  unsigned char* data;
};

struct super_block {
  __u32 s_dev;
};
struct inode {
  unsigned short i_mode;
  struct super_block* i_sb;
  unsigned long i_ino;
  __s64 i_size;
};
struct qstr {
  const unsigned char* name;
};
struct dentry {
  struct dentry* d_parent;
  struct qstr d_name;
};
struct vfsmount {
  struct dentry* mnt_root;
};
struct mount {
  struct mount* mnt_parent;
  struct dentry* mnt_mountpoint;
  struct vfsmount mnt;
};
struct path {
  struct vfsmount* mnt;
  struct dentry* dentry;
};
typedef struct {
  __s64 counter;
} atomic_long_t;
typedef struct {
  atomic_long_t refcnt;
} file_ref_t;
struct file {
  void* private_data;
  struct inode* f_inode;
  struct path f_path;
  file_ref_t f_ref;       // since 6.13: references - 1
  atomic_long_t f_count;  // before
};
struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};
struct files_struct {
  struct fdtable* fdt;
};
struct socket {
  short type;
  struct sock* sk;
};

struct mm_struct {
  unsigned long start_code;
  unsigned long saved_auxv[56];
  struct file* exe_file;
};
struct signal_struct {
  atomic_t live;                        // threads
  struct task_struct* group_exec_task;  // since 5.17
  int group_exit_code;
  unsigned int flags;
};
#ifdef __TARGET_ARCH_x86
struct thread_info {
  __u32 status;
};
#define TS_COMPAT 2  // arch/x86/include/asm/thread_info.h
#endif

typedef struct {
  unsigned long sig[1];
} sigset_t;

struct task_struct {
#ifdef __TARGET_ARCH_x86
  struct thread_info thread_info;
#endif
  unsigned int flags;
  struct signal_struct* signal;
  struct mm_struct* mm;
  int pid;
  int tgid;
  int exit_code;
  struct files_struct* files;
  struct task_struct* group_leader;
  struct task_struct* real_parent;
  char comm[16];
  sigset_t blocked;
};

struct kernel_siginfo {
  struct {
    int si_signo;
    int si_code;
  };
};
struct sigaction {
  void* sa_handler;
};
struct k_sigaction {
  struct sigaction sa;
};

struct linux_binprm {
  const char* filename;
};

// io_uring. Of the union that begins a request each operation has a struct of its own, of which the file is the first member.
struct io_cqe {
  __u64 user_data;
};
struct io_rsrc_node {
  unsigned long file_ptr;
};
struct io_rsrc_data {
  unsigned int nr;
  struct io_rsrc_node** nodes;
};
struct io_fixed_file {
  unsigned long file_ptr;
};
struct io_file_table {
  struct io_rsrc_data data;     // since 6.13
  struct io_fixed_file* files;  // before
};
struct io_uring_sqe;
struct io_ring_ctx {
  unsigned int flags;
  __u32* sq_array;
  struct io_uring_sqe* sq_sqes;
  unsigned int cached_sq_head;
  unsigned int sq_entries;
  struct io_file_table file_table;
  unsigned int nr_user_files;  // before 6.13
};
struct io_kiocb {
  struct file* file;
  struct io_cqe cqe;
  struct io_ring_ctx* ctx;
  void* async_data;
};
struct iov_iter {
  void* ubuf;
};
struct msghdr {
  struct iov_iter msg_iter;
};
struct io_async_msghdr {  // async_data of what sends and receives
  struct msghdr msg;
};
struct io_sr_msg {  // lies over the beginning of the io_kiocb of what sends and receives
  void* buf;
};
struct io_uring_cqe {
  __u64 user_data;
  __s32 res;
  __u32 flags;
};

#pragma clang attribute pop
