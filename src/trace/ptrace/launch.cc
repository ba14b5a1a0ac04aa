#include "trace/ptrace/launch.h"

#include <fcntl.h>
#include <linux/bpf_common.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>

#include "calls/call.h"
#include "trace/machine/machine.h"
#include "trace/ptrace/inside/protocol.h"

namespace tcpwhy::trace {
namespace {

struct ReleaseFilter {
  void operator()(void* context) const { ::seccomp_release(context); }
};

// What changes memory where the recorder lies, or so much that it may reach there.
int add_rules_for_memory(void* context) {
  constexpr std::uint64_t much = std::uint64_t{1} << 38U;
  constexpr std::uint64_t block = ~std::uint64_t{0xff'ffff'ffff};
  static_assert((INSIDE_NEIGHBOURHOOD & block) == INSIDE_NEIGHBOURHOOD);
  const auto near_by = [](unsigned argument) {
    return scmp_arg_cmp{argument, SCMP_CMP_MASKED_EQ, block, INSIDE_NEIGHBOURHOOD};
  };
  const scmp_arg_cmp is_much{1, SCMP_CMP_GT, much, 0};
  const scmp_arg_cmp is_fixed{3, SCMP_CMP_MASKED_EQ, MAP_FIXED, MAP_FIXED};
  int error = 0;
  const auto add = [&](int number, std::initializer_list<scmp_arg_cmp> conditions) {
    if (error == 0)
      error = ::seccomp_rule_add_array(context, SCMP_ACT_TRACE(0), number, static_cast<unsigned>(conditions.size()),
                                       conditions.begin());
  };
  add(SCMP_SYS(mmap), {is_fixed, near_by(0)});
  add(SCMP_SYS(mmap), {is_fixed, is_much});
  add(SCMP_SYS(mremap), {near_by(0)});
  add(SCMP_SYS(mremap), {near_by(4)});
  for (const int number : {SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(pkey_mprotect), SCMP_SYS(madvise)}) {
    add(number, {near_by(0)});
    add(number, {is_much});
  }
  return error;
}

base::Status add_rules(void* context) {
  // Whatever isn't in the table passes; so do calls of 32-bit programs, which would be killed otherwise.
  int error = ::seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
  if (error == 0) error = ::seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree, not a list
  for (const calls::CallRow& row : calls::traced_calls())
    if (error == 0) error = ::seccomp_rule_add(context, SCMP_ACT_TRACE(0), static_cast<int>(row.number), 0);
  // What poll() and its like come back with after a signal.
  if (error == 0) error = ::seccomp_rule_add(context, SCMP_ACT_TRACE(0), SCMP_SYS(restart_syscall), 0);
  // A filter of the program's own may not know the calls that a recorder makes (inside/).
  if (error == 0) error = ::seccomp_rule_add(context, SCMP_ACT_TRACE(0), SCMP_SYS(seccomp), 0);
  if (error == 0)
    error = ::seccomp_rule_add(context, SCMP_ACT_TRACE(0), SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP));
  if (error == 0) error = add_rules_for_memory(context);
  if (error != 0) return base::fail_errno({"seccomp filter", "seccomp 过滤器"}, -error);
  return {};
}

// Calls of the recorder's pass. libseccomp can't ask where a call is made from, so what would stop goes there to be
// asked; whatever passes anyhow passes as fast as before.
void let_recorder_pass(std::vector<sock_filter>& filter) {
  constexpr std::uint32_t stops = SECCOMP_RET_TRACE;
  const auto begin = static_cast<std::uint32_t>(filter.size());
  for (std::uint32_t i = 0; i < begin; ++i)
    if (filter[i].code == (BPF_RET | BPF_K) && filter[i].k == stops)
      filter[i] = BPF_STMT(BPF_JMP | BPF_JA, begin - i - 1);
  constexpr std::uint32_t address = offsetof(seccomp_data, instruction_pointer);
  constexpr std::uint32_t low = INSIDE_CALLED & 0xffff'ffff, high = INSIDE_CALLED >> 32U;
  const sock_filter asked[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, address),     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, address + 4), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),    BPF_STMT(BPF_RET | BPF_K, stops),
  };
  filter.insert(filter.end(), std::begin(asked), std::end(asked));
}

int install(const std::vector<sock_filter>& filter) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): the kernel only reads it
  sock_fprog program{static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.data())};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0) return 0;
  if (errno != EACCES) return errno;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 ? 0 : errno;
}

// Between fork and exec in a process of several threads: only calls that signal-safety(7) lists.
[[noreturn]] void be_the_command(char* const* words, const std::vector<sock_filter>& filter, const sigset_t& mask,
                                 int go, int failed) {
  char byte = 0;
  while (::read(go, &byte, 1) < 0 && errno == EINTR) {
  }
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  ::sigaction(SIGPIPE, &action, nullptr);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  int error = filter.empty() ? 0 : install(filter);
  if (error == 0) {
    ::execvp(words[0], words);
    error = errno;
  }
  [[maybe_unused]] const ssize_t written = ::write(failed, &error, sizeof error);
  ::_exit(127);
}

}  // namespace

base::Result<std::vector<sock_filter>> make_filter() {
  const std::unique_ptr<void, ReleaseFilter> context(::seccomp_init(SCMP_ACT_ALLOW));
  if (!context) return base::fail(base::ErrorKind::system, {"seccomp filter: no memory", "seccomp 过滤器：内存不足"});
  if (auto added = add_rules(context.get()); !added) return std::unexpected(added.error());
  // By a pipe, which has room for the longest of filters (BPF_MAXINSNS): RLIMIT_FSIZE is for files, those in memory too.
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return base::fail_errno("pipe2");
  const base::UniqueFd reader(ends[0]), writer(ends[1]);
  std::vector<sock_filter> filter(BPF_MAXINSNS);
  (void)::fcntl(writer.get(), F_SETPIPE_SZ, static_cast<int>(filter.size() * sizeof(sock_filter)));
  if (const int error = ::seccomp_export_bpf(context.get(), writer.get()); error != 0)
    return base::fail_errno({"seccomp filter", "seccomp 过滤器"}, -error);
  const ssize_t size = ::read(reader.get(), filter.data(), filter.size() * sizeof(sock_filter));
  if (size <= 0) return base::fail_errno("read");
  filter.resize(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (machine::has_recorder) let_recorder_pass(filter);
  return filter;
}

base::Result<Launched> launch(const std::vector<std::string>& command, const std::vector<sock_filter>& filter,
                              const sigset_t& signal_mask) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);

  int go[2], failed[2];
  if (::pipe2(go, O_CLOEXEC) != 0) return base::fail_errno("pipe2");
  base::UniqueFd go_read(go[0]), go_write(go[1]);
  if (::pipe2(failed, O_CLOEXEC) != 0) return base::fail_errno("pipe2");
  base::UniqueFd failed_read(failed[0]), failed_write(failed[1]);

  const pid_t pid = ::fork();
  if (pid < 0) return base::fail_errno("fork");
  if (pid == 0) {
    ::close(go[1]);  // else its own end would keep it waiting
    be_the_command(words.data(), filter, signal_mask, go[0], failed[1]);
  }
  return Launched{pid, std::move(go_write), std::move(failed_read)};
}

}  // namespace tcpwhy::trace
