// Calls about signals, timers and limits. The tracers leave them; the laboratory's agents make them.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>

#include <array>
#include <cstddef>
#include <iterator>

#include "calls/names.h"
#include "calls/spelling/spelling.h"

namespace tcpwhy::calls {
namespace {

// struct sigaction as the kernel has it (asm-generic/signal.h): the C library's has its fields in another order, and a larger mask.
struct KernelAction {
  std::uint64_t handler, flags, restorer, mask;
};
constexpr std::uint64_t has_restorer = 0x04000000;  // SA_RESTORER

// In strace's order.
constexpr NamedValue action_flags[] = {
    {has_restorer, "SA_RESTORER"}, {0x08000000, "SA_ONSTACK"},     {0x10000000, "SA_RESTART"},
    {0x20000000, "SA_INTERRUPT"},  {0x40000000, "SA_NODEFER"},     {0x80000000, "SA_RESETHAND"},
    {SA_SIGINFO, "SA_SIGINFO"},    {SA_NOCLDSTOP, "SA_NOCLDSTOP"}, {SA_NOCLDWAIT, "SA_NOCLDWAIT"},
};
constexpr NamedValue handlers[] = {{0, "SIG_DFL"}, {1, "SIG_IGN"}, {UINT64_MAX, "SIG_ERR"}};
constexpr NamedValue mask_changes[] = {
    {SIG_BLOCK, "SIG_BLOCK"}, {SIG_UNBLOCK, "SIG_UNBLOCK"}, {SIG_SETMASK, "SIG_SETMASK"}};
constexpr NamedValue timers[] = {{0, "ITIMER_REAL"}, {1, "ITIMER_VIRTUAL"}, {2, "ITIMER_PROF"}};
constexpr NamedValue resources[] = {
    {0, "RLIMIT_CPU"},       {1, "RLIMIT_FSIZE"}, {2, "RLIMIT_DATA"},    {3, "RLIMIT_STACK"},
    {4, "RLIMIT_CORE"},      {5, "RLIMIT_RSS"},   {6, "RLIMIT_NPROC"},   {7, "RLIMIT_NOFILE"},
    {8, "RLIMIT_MEMLOCK"},   {9, "RLIMIT_AS"},    {10, "RLIMIT_LOCKS"},  {11, "RLIMIT_SIGPENDING"},
    {12, "RLIMIT_MSGQUEUE"}, {13, "RLIMIT_NICE"}, {14, "RLIMIT_RTPRIO"}, {15, "RLIMIT_RTTIME"},
};

// Who or what sent a signal: si_code (sigaction(2)).
constexpr NamedValue senders[] = {
    {static_cast<std::uint32_t>(SI_USER), "SI_USER"},   {static_cast<std::uint32_t>(SI_KERNEL), "SI_KERNEL"},
    {static_cast<std::uint32_t>(SI_QUEUE), "SI_QUEUE"}, {static_cast<std::uint32_t>(SI_TIMER), "SI_TIMER"},
    {static_cast<std::uint32_t>(SI_MESGQ), "SI_MESGQ"}, {static_cast<std::uint32_t>(SI_ASYNCIO), "SI_ASYNCIO"},
    {static_cast<std::uint32_t>(SI_SIGIO), "SI_SIGIO"}, {static_cast<std::uint32_t>(SI_TKILL), "SI_TKILL"},
};

void spell_action(const Memory& memory, std::uint64_t address, std::string& out) {
  const auto action = read_value<KernelAction>(memory, address);
  if (!action) return spell_pointer(address, out);
  out += "{sa_handler=";
  if (const NamedValue* named = find_value(handlers, action->handler))
    out += named->name;
  else
    spell_pointer(action->handler, out);
  fmt::format_to(std::back_inserter(out), ", sa_mask={}, sa_flags={}", spell_signal_set(action->mask),
                 spell_flags(action_flags, action->flags, "SA_???"));
  if ((action->flags & has_restorer) != 0) {
    out += ", sa_restorer=";
    spell_pointer(action->restorer, out);
  }
  out += '}';
}

// Of a set whose size is not the kernel's it reads nothing.
void spell_sized_mask(const CallView& call, std::size_t mask, std::uint64_t size, std::string& out) {
  if (size == sizeof(std::uint64_t))
    spell_signal_mask(call.memory, call[mask], out);
  else
    spell_pointer(call[mask], out);
}

// The old value, which comes back: `...` stands for it and what is behind it, unless it isn't asked for.
void spell_asked_old(const CallView& call, std::size_t old, std::string_view behind, std::string& out) {
  out += call[old] == 0 ? fmt::format(", NULL{}", behind) : ", ...";
}

std::string size_behind(const CallView& call) { return fmt::format(", {}", call[3]); }

void spell_interval_timer(const Memory& memory, std::uint64_t address, std::string& out) {
  const auto times = read_value<std::array<std::int64_t, 4>>(memory, address);
  if (!times) return spell_pointer(address, out);
  constexpr std::size_t value_at = 2 * sizeof(std::int64_t);
  out += "{it_interval=";
  spell_time(memory, address, "usec", out);
  out += ", it_value=";
  spell_time(memory, address + value_at, "usec", out);
  out += '}';
}

std::string spell_limit(std::uint64_t limit) {
  constexpr std::uint64_t kibi = 1024;
  if (limit == UINT64_MAX) return "RLIM64_INFINITY";
  return limit > kibi && limit % kibi == 0 ? fmt::format("{}*1024", limit / kibi) : fmt::to_string(limit);
}

void spell_limits(const Memory& memory, std::uint64_t address, std::string& out) {
  const auto limits = read_value<std::array<std::uint64_t, 2>>(memory, address);
  if (!limits) return spell_pointer(address, out);
  fmt::format_to(std::back_inserter(out), "{{rlim_cur={}, rlim_max={}}}", spell_limit((*limits)[0]),
                 spell_limit((*limits)[1]));
}

// siginfo_t as far as it is the same for every signal, and its sender where a process is one.
void spell_signal_info(const Memory& memory, std::uint64_t address, std::string& out) {
  struct Info {
    std::int32_t signal, error, code, padding, pid;
    std::uint32_t uid;
  };
  const auto info = read_value<Info>(memory, address);
  if (!info) return spell_pointer(address, out);
  const auto code = static_cast<std::uint32_t>(info->code);
  const NamedValue* sender = find_value(senders, code);
  fmt::format_to(std::back_inserter(out), "{{si_signo={}, si_code={}", signal_name(info->signal),
                 sender == nullptr ? fmt::format("{:#x}", code) : std::string(sender->name));
  if (info->code == SI_USER || info->code == SI_TKILL || info->code == SI_QUEUE)
    fmt::format_to(std::back_inserter(out), ", si_pid={}, si_uid={}", info->pid, info->uid);
  out += info->code == SI_USER || info->code == SI_TKILL || info->code == SI_KERNEL ? "}" : ", ...}";
}

}  // namespace

void enter_rt_sigaction(const CallView& call, std::string& out) {
  out += signal_name(call.integer(0)) + ", ";
  spell_action(call.memory, call[1], out);
  spell_asked_old(call, 2, size_behind(call), out);
}

void return_rt_sigaction(const CallView& call, std::string& out) {
  if (call.failed() || call[2] == 0) return;
  spell_action(call.memory, call[2], out);
  out += size_behind(call);
}

void enter_rt_sigprocmask(const CallView& call, std::string& out) {
  out += spell_value(mask_changes, call.flags(0), "SIG_???") + ", ";
  spell_sized_mask(call, 1, call[3], out);
  spell_asked_old(call, 2, size_behind(call), out);
}

void return_rt_sigprocmask(const CallView& call, std::string& out) {
  if (call.failed() || call[2] == 0) return;
  spell_sized_mask(call, 2, call[3], out);
  out += size_behind(call);
}

void enter_rt_sigtimedwait(const CallView& call, std::string& out) {
  spell_sized_mask(call, 0, call[3], out);
  out += call[1] == 0 ? ", NULL, " : ", ..., ";
  spell_time(call.memory, call[2], "nsec", out);
  out += size_behind(call);
}

void return_rt_sigtimedwait(const CallView& call, std::string& out) {
  if (!call.failed() && call[1] != 0) spell_signal_info(call.memory, call[1], out);
}

void enter_kill(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, {}", call.integer(0), signal_name(call.integer(1)));
}

void enter_setitimer(const CallView& call, std::string& out) {
  out += spell_value(timers, call.flags(0), "ITIMER_???") + ", ";
  spell_interval_timer(call.memory, call[1], out);
  spell_asked_old(call, 2, "", out);
}

void return_setitimer(const CallView& call, std::string& out) {
  if (!call.failed() && call[2] != 0) spell_interval_timer(call.memory, call[2], out);
}

void enter_prlimit64(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, {}, ", call.integer(0),
                 spell_value(resources, call.flags(1), "RLIMIT_???"));
  spell_limits(call.memory, call[2], out);
  spell_asked_old(call, 3, "", out);
}

void return_prlimit64(const CallView& call, std::string& out) {
  if (!call.failed() && call[3] != 0) spell_limits(call.memory, call[3], out);
}

}  // namespace tcpwhy::calls
