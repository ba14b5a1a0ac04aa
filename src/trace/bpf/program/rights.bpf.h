// Descriptors that a message passes to another process: SCM_RIGHTS, unix(7).
#pragma once

#include "common.bpf.h"

#define SOL_SOCKET 1
#define SCM_RIGHTS 1

// struct msghdr and struct cmsghdr of a 64-bit process (bits/socket.h).
struct user_message {
  __u64 name, name_length, vectors, vector_count, control, control_length;
};
struct user_control {
  __u64 length;
  __s32 level, type;
};
enum { PASSED_LOOKED_AT = 8 };  // of the descriptors in the first control message

static __always_inline int has_control_room(__u64 address) {
  struct user_message message = {};
  if (bpf_probe_read_user(&message, sizeof(message), (const void*)address)) return 0;
  return message.control != 0 && message.control_length >= sizeof(struct user_control);
}

// The TCP socket that a descriptor of the running process stands for; 0: none. Global: a number is all that it may return.
__noinline __u64 socket_behind(__s32 fd) {
  const struct sock* sk = tcp_socket_of(file_of(fd));
  return sk ? number_of((__u64)sk) : 0;
}

// The first TCP socket among the descriptors that the message at `address` carries, in the numbering of the running process.
// Global.
__noinline __u64 passed_socket(__u64 address) {
  struct user_message message = {};
  struct user_control control = {};
  if (bpf_probe_read_user(&message, sizeof(message), (const void*)address)) return 0;
  if (message.control == 0 || message.control_length < sizeof(control)) return 0;
  if (bpf_probe_read_user(&control, sizeof(control), (const void*)message.control)) return 0;
  if (control.level != SOL_SOCKET || control.type != SCM_RIGHTS) return 0;
  for (__u32 i = 0; i < PASSED_LOOKED_AT; ++i) {
    const __u64 at = sizeof(control) + i * sizeof(__s32);
    __s32 fd = -1;
    if (at + sizeof(fd) > control.length) return 0;
    if (bpf_probe_read_user(&fd, sizeof(fd), (const void*)(message.control + at))) return 0;
    const __u64 socket = socket_behind(fd);
    if (socket) return socket;
  }
  return 0;
}
