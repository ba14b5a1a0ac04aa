// Files that traced processes map as code: by exec, and by mmap(2) as the dynamic linker and dlopen() do it.
#pragma once

#include "common.bpf.h"

#define PROT_EXEC 4
#define MAP_ANONYMOUS 0x20
#define AT_BASE 7

enum { MOST_NAMES = 24, MOST_NAME_BYTES = 256, AUXV_PAIRS = 28 };

static __always_inline struct mount* mount_of(struct vfsmount* mnt) {
  return (void*)mnt - __builtin_preserve_field_info(((struct mount*)0)->mnt, BPF_FIELD_BYTE_OFFSET);
}

static __always_inline struct vfsmount* mnt_of(struct mount* mount) {
  return (void*)mount + __builtin_preserve_field_info(((struct mount*)0)->mnt, BPF_FIELD_BYTE_OFFSET);
}

// Where a walk from a file up to the root of all mounts has come to.
struct path_walk {
  __u64 mnt, dentry;  // addresses of struct vfsmount, struct dentry
  __u32 at;           // bytes of the path that are there
  __u32 reserved;
};

// A step of it, a name or the way out of a mount; 0: there is none. Global: the verifier looks at it once and not for each step.
__noinline int tell_name(struct probe_mapping* record, struct path_walk* walk) {
  if (!record || !walk) return 0;
  struct vfsmount* const mnt = (struct vfsmount*)walk->mnt;
  struct dentry* const dentry = (struct dentry*)walk->dentry;
  if (!mnt || !dentry) return 0;
  struct dentry* const parent = BPF_CORE_READ(dentry, d_parent);
  if (dentry == BPF_CORE_READ(mnt, mnt_root) || dentry == parent) {
    struct mount* const mount = mount_of(mnt);
    struct mount* const above = BPF_CORE_READ(mount, mnt_parent);
    if (above == mount) return 0;
    walk->dentry = (__u64)BPF_CORE_READ(mount, mnt_mountpoint);
    walk->mnt = (__u64)mnt_of(above);
    return 1;
  }
  const __u32 at = walk->at;
  if (at > PROBE_PATH_BYTES - MOST_NAME_BYTES) return 0;
  const unsigned char* const name = BPF_CORE_READ(dentry, d_name.name);
  const long taken = bpf_probe_read_kernel_str(record->path + at, MOST_NAME_BYTES, name);
  if (taken <= 0 || taken > MOST_NAME_BYTES) return 0;
  walk->at = at + (__u32)taken;
  walk->dentry = (__u64)parent;
  return 1;
}

// bpf_d_path() is for a few functions of the kernel only: the names are read one by one, and across mounts.
static __always_inline void tell_path(struct probe_mapping* record, struct file* file) {
  struct path_walk walk = {.mnt = (__u64)BPF_CORE_READ(file, f_path.mnt),
                           .dentry = (__u64)BPF_CORE_READ(file, f_path.dentry)};
  for (int i = 0; i < MOST_NAMES; ++i)
    if (!tell_name(record, &walk)) break;
  record->path_bytes = walk.at;
}

static __always_inline void tell_file(struct probe_mapping* record, struct file* file) {
  const struct inode* const inode = BPF_CORE_READ(file, f_inode);
  record->file_bytes = BPF_CORE_READ(inode, i_size);
  record->inode = BPF_CORE_READ(inode, i_ino);
  record->device = BPF_CORE_READ(inode, i_sb, s_dev);
  record->unused = 0;
}

static __always_inline void tell_mapped_by_call(const struct pt_regs* regs, __s64 result) {
  const __u32 tgid = bpf_get_current_pid_tgid() >> 32;
  __u64 arguments[6];  // address, length, protection, flags, descriptor, offset
  take_arguments(arguments, regs);
  if (!(arguments[2] & PROT_EXEC) || (arguments[3] & MAP_ANONYMOUS)) return;
  if ((__u64)result >= -4095UL || !is_traced(tgid)) return;
  struct file* const file = file_of((__s32)arguments[4]);
  if (!file) return;
  struct probe_mapping* record = RESERVE(probe_mapping, PROBE_MAPPING);
  if (!record) return;
  record->start = (__u64)result;
  record->length = arguments[1];
  record->offset = arguments[5];
  tell_file(record, file);
  record->interpreter = 0;
  record->is_program = 0;
  tell_path(record, file);
  SUBMIT(record);
}

static __always_inline void tell_mapped_by_exec(struct task_struct* task) {
  struct mm_struct* const mm = BPF_CORE_READ(task, mm);
  struct file* const file = BPF_CORE_READ(mm, exe_file);
  if (!file) return;
  struct probe_mapping* record = RESERVE(probe_mapping, PROBE_MAPPING);
  if (!record) return;
  record->start = BPF_CORE_READ(mm, start_code);
  record->length = record->offset = 0;
  tell_file(record, file);
  record->interpreter = 0;
  record->is_program = 1;
  for (int i = 0; i < AUXV_PAIRS - 4; ++i) {
    __u64 pair[2] = {};
    if (bpf_probe_read_kernel(pair, sizeof(pair), &mm->saved_auxv[2 * i]) || pair[0] == 0) break;
    if (pair[0] == AT_BASE) record->interpreter = pair[1];
  }
  tell_path(record, file);
  SUBMIT(record);
}
