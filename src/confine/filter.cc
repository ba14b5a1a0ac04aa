#include "confine/filter.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <type_traits>

namespace tcpwhy::confine {
namespace {

// Computing, waiting, and what is open already. What libc, libstdc++ and their threads call is here; of the rest what does no harm.
constexpr const char* harmless[] = {"read",
                                    "readv",
                                    "pread64",
                                    "preadv",
                                    "preadv2",
                                    "write",
                                    "writev",
                                    "pwrite64",
                                    "pwritev",
                                    "pwritev2",
                                    "lseek",
                                    "_llseek",
                                    "close",
                                    "fstat",
                                    "fstat64",
                                    "newfstatat",
                                    "fstatat64",
                                    "statx",
                                    "ftruncate",
                                    "fsync",
                                    "fdatasync",
                                    "fadvise64",
                                    "dup",
                                    "dup3",
                                    "fcntl",
                                    "fcntl64",
                                    "pipe2",
                                    "tee",
                                    "poll",
                                    "ppoll",
                                    "select",
                                    "pselect6",
                                    "munmap",
                                    "mremap",
                                    "madvise",
                                    "brk",
                                    "membarrier",
                                    "futex",
                                    "futex_waitv",
                                    "set_robust_list",
                                    "get_robust_list",
                                    "rseq",
                                    "set_tid_address",
                                    "sched_yield",
                                    "sched_getaffinity",
                                    "getcpu",
                                    "getpid",
                                    "gettid",
                                    "getppid",
                                    "getuid",
                                    "geteuid",
                                    "getgid",
                                    "getegid",
                                    "getresuid",
                                    "getresgid",
                                    "getgroups",
                                    "uname",
                                    "sysinfo",
                                    "getrusage",
                                    "times",
                                    "getrlimit",
                                    "clock_gettime",
                                    "clock_gettime64",
                                    "clock_getres",
                                    "clock_nanosleep",
                                    "nanosleep",
                                    "gettimeofday",
                                    "time",
                                    "setitimer",
                                    "getitimer",
                                    "getrandom",
                                    "restart_syscall",
                                    "rt_sigaction",
                                    "rt_sigprocmask",
                                    "rt_sigpending",
                                    "rt_sigtimedwait",
                                    "rt_sigreturn",
                                    "sigaltstack",
                                    "exit",
                                    "exit_group"};

// What nothing of ours calls, and what only an attacker gains by: better dead than told that it can't.
constexpr const char* deadly[] = {
    // programs and processes
    "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp",
    "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal", "pidfd_getfd", "unshare",
    "setns", "modify_ldt", "userfaultfd", "remap_file_pages",
    // sockets
    "socket", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmmsg", "recvmmsg",
    // files
    "creat", "open_by_handle_at", "name_to_handle_at", "truncate", "mknod", "mknodat", "mkdir", "mkdirat", "rmdir",
    "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "chmod",
    "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr", "utime",
    "utimes", "utimensat", "futimesat", "chroot", "pivot_root", "mount", "umount2", "fsopen", "fspick", "fsconfig",
    "fsmount", "move_mount", "open_tree", "mount_setattr", "memfd_secret", "fanotify_init",
    // rights and the system
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups", "capset",
    "personality", "bpf", "perf_event_open", "io_uring_setup", "io_uring_enter", "io_uring_register", "add_key",
    "request_key", "keyctl", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
    "swapon", "swapoff", "acct", "quotactl", "syslog", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex",
    "sethostname", "setdomainname", "iopl", "ioperm", "vhangup"};

struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};

class Rules {
 public:
  explicit Rules(std::uint32_t otherwise) : filter_(seccomp_init(otherwise)) {}

  // Those that this machine does not have are no calls of anybody's.
  void add(std::uint32_t action, const char* call, std::initializer_list<scmp_arg_cmp> conditions = {}) {
    if (!filter_ || action == otherwise()) return;
    const int number = seccomp_syscall_resolve_name(call);
    if (number == __NR_SCMP_ERROR) return;
    const int added = seccomp_rule_add_array(filter_.get(), action, number, static_cast<unsigned>(conditions.size()),
                                             conditions.begin());
    if (added != 0 && added != -EDOM) whole_ = false;
  }

  bool load() {
    if (!filter_ || !whole_) return false;
    seccomp_attr_set(filter_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree: all calls pass it
    return seccomp_load(filter_.get()) == 0;
  }

 private:
  [[nodiscard]] std::uint32_t otherwise() const {
    std::uint32_t action = 0;
    seccomp_attr_get(filter_.get(), SCMP_FLTATR_ACT_DEFAULT, &action);
    return action;
  }
  std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, Release> filter_;
  bool whole_ = true;
};

constexpr std::uint32_t die = SCMP_ACT_KILL_PROCESS, pass = SCMP_ACT_ALLOW;

scmp_arg_cmp is(unsigned argument, std::uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }
scmp_arg_cmp is_not(unsigned argument, std::uint64_t value) { return {argument, SCMP_CMP_NE, value, 0}; }
scmp_arg_cmp has(unsigned argument, std::uint64_t mask, std::uint64_t bits) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, bits};
}

// A thread is made, a process is not. clone3(2) has its flags in memory, where no filter looks: libc then takes clone(2).
void add_threads(Rules& rules) {
  rules.add(SCMP_ACT_ERRNO(ENOSYS), "clone3");
  rules.add(die, "clone", {has(0, CLONE_THREAD, 0)});
  rules.add(pass, "clone", {has(0, CLONE_THREAD, CLONE_THREAD)});
}

// abort(3) and raise(3) reach this process only.
void add_signals(Rules& rules) {
  const auto self = static_cast<std::uint64_t>(::getpid());
  for (const char* call : {"kill", "tgkill"}) {
    rules.add(die, call, {is_not(0, self)});
    rules.add(pass, call, {is(0, self)});
  }
}

void add_opening(Rules& rules) {
  constexpr std::uint64_t makes = O_CREAT | O_TRUNC, all = O_ACCMODE | makes;
  for (const auto& [call, flags] : {std::pair("open", 1U), std::pair("openat", 2U)}) {
    rules.add(die, call, {has(flags, O_ACCMODE, O_WRONLY)});
    rules.add(die, call, {has(flags, O_ACCMODE, O_RDWR)});
    rules.add(die, call, {has(flags, O_ACCMODE, O_ACCMODE)});
    rules.add(die, call, {has(flags, all, O_CREAT)});
    rules.add(die, call, {has(flags, all, O_TRUNC)});
    rules.add(die, call, {has(flags, all, makes)});
    rules.add(SCMP_ACT_ERRNO(EACCES), call, {has(flags, all, O_RDONLY)});
  }
}

// Memory is data, not code.
void add_memory(Rules& rules) {
  for (const char* call : {"mmap", "mmap2", "mprotect"}) {
    rules.add(die, call, {has(2, PROT_EXEC, PROT_EXEC)});
    rules.add(pass, call, {has(2, PROT_EXEC, 0)});
  }
}

void add_terminal(Rules& rules) {
  rules.add(die, "ioctl", {is(1, TIOCSTI)});  // types for whoever sits there
  rules.add(die, "ioctl", {is(1, TIOCLINUX)});
  constexpr std::uint64_t harmless_ones[] = {TCGETS, TCGETS2, TIOCGWINSZ,
                                             FIONREAD};  // isatty(3) asks by either of the first
  for (const std::uint64_t asked : harmless_ones) rules.add(pass, "ioctl", {is(1, asked)});
}

}  // namespace

bool obey_filter(Leave leave) {
  const bool ours = leave != Leave::reopening;
  Rules rules(ours ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_ALLOW);
  for (const char* call : deadly) rules.add(die, call);
  for (const char* call : harmless) rules.add(pass, call);
  add_threads(rules);
  add_signals(rules);
  add_terminal(rules);
  if (ours) {
    add_opening(rules);
    add_memory(rules);
    rules.add(pass, "prctl", {is(0, PR_SET_NAME)});
    rules.add(pass, "prlimit64", {is(0, 0), is(2, 0)});  // what its limits are
  }
  for (const char* call : {"recvmsg", "sendmsg"}) rules.add(leave == Leave::messages ? pass : die, call);
  return rules.load();
}

}  // namespace tcpwhy::confine
