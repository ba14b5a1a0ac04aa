// What can be observed outside a sandbox: this host's packets, other people's processes.
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>

#include "base/format.h"
#include "capture/live_capture.h"
#include "doctor/probe.h"
#include "trace/ptrace/ptrace_tracer.h"

namespace tcpwhy::doctor {
namespace {

Probe host_packets() {
  Probe probe{.id = "host_packets",
              .title = {"packets of this host", "本机数据包"},
              .answer = Answer::yes,
              .found = {"a tap on lo was opened", "已在 lo 上打开抓包"},
              .needed_for = {"watching connections that are not an experiment's", "观察实验以外的连接"},
              .more = {}};
  const auto tap = capture::LiveCapture::open({.interface = "lo", .filter = {}});
  if (tap) return probe;
  probe.answer = Answer::no;
  probe.found = tap.error().message;
  probe.more = {"sudo tcpwhy ..., or once: sudo setcap cap_net_raw+ep PROGRAM",
                "用 sudo tcpwhy ... 运行，或执行一次：sudo setcap cap_net_raw+ep 程序"};
  return probe;
}

// Seizes a child of ours and asks for the state of its system call, as a tracer would. Empty, or what failed.
base::OwnedText try_ptrace() {
  const pid_t child = fork();
  if (child == 0) {
    alarm(5);
    while (true) pause();
  }
  if (child < 0) return base::both(fmt::format("fork: {}", std::strerror(errno)));
  base::OwnedText wrong;
  if (ptrace(PTRACE_SEIZE, child, nullptr, nullptr) != 0) {
    wrong = base::both(fmt::format("PTRACE_SEIZE: {}", std::strerror(errno)));
  } else {
    int status = 0;
    ptrace(PTRACE_INTERRUPT, child, nullptr, nullptr);
    waitpid(child, &status, __WALL);
    struct __ptrace_syscall_info info{};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) < 0) {
      wrong = base::both(fmt::format("PTRACE_GET_SYSCALL_INFO: {}", std::strerror(errno)));
    } else if (access(fmt::format("/proc/{}/fd", child).c_str(), X_OK) != 0) {
      wrong = base::format({"/proc/PID/fd: {}: another file system covers it, or it is another PID namespace's",
                            "/proc/PID/fd：{}：被其他文件系统遮盖，或属于另一个 PID 命名空间"},
                           std::strerror(errno));
    }
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, __WALL);
  return wrong;
}

Probe ptrace_of_children(const base::OwnedText& wrong) {
  Probe probe{
      .id = "ptrace",
      .title = {"ptrace", "ptrace"},
      .answer = wrong.empty() ? Answer::yes : Answer::no,
      .found = {"a child was seized and told its system call", "已附着子进程并读到其系统调用"},
      .needed_for = {"the calls of a program that is started under the trace", "跟踪由本程序启动的程序的系统调用"},
      .more = {}};
  if (!wrong.empty()) {
    probe.found = wrong;
    probe.more = {
        "in a container: --cap-add SYS_PTRACE, and no seccomp profile that forbids it; the kernel must be 5.3 or newer",
        "在容器中：--cap-add SYS_PTRACE，且 seccomp 配置不得禁止；内核需 5.3 或更新"};
  }
  return probe;
}

// What can't be had where ptrace itself does not work.
void depend_on_ptrace(const base::OwnedText& wrong, Probe& probe) {
  if (wrong.empty()) return;
  probe.answer = Answer::no;
  probe.found = {"ptrace does not work here (see above)", "ptrace 在此不可用（见上）"};
  probe.more = {};
}

Probe ptrace_without_stops() {
  const auto why = trace::why_no_recorder();
  Probe probe{.id = "ptrace_recorder",
              .title = {"ptrace, seldom stopping", "ptrace 少停顿"},
              .answer = why.empty() ? Answer::yes : Answer::no,
              .found = {"what a recorder inside a program needs is there", "程序内记录器所需条件具备"},
              .needed_for = {"a busy program is slowed down little when it is traced without root",
                             "无 root 跟踪繁忙程序时，几乎不拖慢它"},
              .more = {}};
  if (why.empty()) return probe;
  probe.found = why;
  probe.more = {
      "as root its calls are seen by BPF; by ptrace each call that is recorded stops it: slower, no less is seen",
      "以 root 运行时由 BPF 观察系统调用；用 ptrace 时每个被记录的调用都会停顿：较慢，但看到的不少"};
  return probe;
}

std::optional<int> yama_scope() {
  std::ifstream file("/proc/sys/kernel/yama/ptrace_scope");
  int scope = 0;
  if (!(file >> scope)) return std::nullopt;
  return scope;
}

// ptrace(2), "/proc/sys/kernel/yama/ptrace_scope".
Probe ptrace_of_others() {
  Probe probe{.id = "ptrace_scope",
              .title = {"ptrace of running programs", "跟踪正在运行的程序"},
              .answer = Answer::yes,
              .found = {"no Yama: programs of the same user", "没有 Yama 限制：同一用户的程序"},
              .needed_for = {"attaching to a program by its pid", "按 pid 附着到程序"},
              .more = {}};
  const auto scope = yama_scope();
  if (!scope) return probe;
  const bool root = geteuid() == 0;
  probe.answer = *scope == 0 || (root && *scope < 3) ? Answer::yes : Answer::no;
  probe.found.en = fmt::format("kernel.yama.ptrace_scope = {}", *scope);
  probe.found.zh = probe.found.en;
  if (probe.answer == Answer::no && *scope < 3) {
    probe.more = {"as root: sysctl -w kernel.yama.ptrace_scope=0; or sudo tcpwhy ...",
                  "以 root 执行：sysctl -w kernel.yama.ptrace_scope=0；或 sudo tcpwhy ..."};
  } else if (probe.answer == Answer::no) {
    probe.more = {"3 cannot be changed until the next boot", "值为 3 时，重启前无法更改"};
  }
  return probe;
}

}  // namespace

void examine_host(std::vector<Probe>& probes) {
  probes.push_back(host_packets());
  const base::OwnedText wrong = try_ptrace();
  probes.push_back(ptrace_of_children(wrong));
  probes.push_back(ptrace_without_stops());
  depend_on_ptrace(wrong, probes.back());
  probes.push_back(ptrace_of_others());
  depend_on_ptrace(wrong, probes.back());
}

}  // namespace tcpwhy::doctor
