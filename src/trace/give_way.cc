#include "trace/give_way.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace tcpwhy::trace {
namespace {

using namespace std::chrono_literals;

constexpr double behind = 0.5;  // the other half lasts several times `ask_every`
constexpr double keeps_up = 0.3;
// Nine times as much of a busy processor (sched_prio_to_weight[] in kernel/sched/core.c).
constexpr int nicer_to_itself = 10;
constexpr auto kept_from_looking = 200ms;  // four times what a reader sleeps between two looks
constexpr auto calm_enough = 500ms;

bool set_nice(pid_t thread, int nice) { return setpriority(PRIO_PROCESS, static_cast<id_t>(thread), nice) == 0; }

// Whoever may go below the nice value he has may come back from SCHED_IDLE to it (kernel/sched/syscalls.c, can_nice()). That value.
std::optional<int> nice_to_come_back_to(pid_t thread) {
  if (sched_getscheduler(thread) != SCHED_OTHER) return std::nullopt;
  errno = 0;
  const int own = getpriority(PRIO_PROCESS, static_cast<id_t>(thread));
  if (errno != 0 || !set_nice(thread, own - 1) || !set_nice(thread, own)) return std::nullopt;
  return own;
}

}  // namespace

bool GiveWayPolicy::gives_way(double fullness, std::uint64_t looks, Clock::time_point now) {
  if (looks != looks_) looks_ = looks, looked_ = now;
  const bool kept_out = now - looked_ >= kept_from_looking;
  if (fullness > keeps_up || kept_out)
    calm_since_.reset();
  else if (!calm_since_)
    calm_since_ = now;
  if (fullness > behind || kept_out) gives_way_ = false;
  if (calm_since_ && now - *calm_since_ >= calm_enough) gives_way_ = true;
  return gives_way_;
}

GiveWay::GiveWay(std::function<double()> fullness)
    : fullness_(std::move(fullness)), thread_(static_cast<pid_t>(syscall(SYS_gettid))), policy_(SCHED_OTHER) {
  const auto nice = nice_to_come_back_to(thread_);
  if (!nice) return;
  nice_ = *nice;
  // Signals are the other threads'.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    guard_ = std::jthread([this](std::stop_token stop) { watch_over(std::move(stop)); });
  } catch (const std::system_error&) {  // no more threads: the reader stays as it is
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

GiveWay::~GiveWay() {
  if (!guard_.joinable()) return;
  guard_.request_stop();
  guard_.join();
  set(SCHED_OTHER);
  set_nice(thread_, nice_);
}

void GiveWay::watch_over(std::stop_token stop) {
  GiveWayPolicy policy(GiveWayPolicy::Clock::now());
  set_nice(static_cast<pid_t>(syscall(SYS_gettid)), nice_ - nicer_to_itself);  // next to nothing, but in time
  set(SCHED_IDLE);
  std::unique_lock lock(mutex_);
  while (!ends_.wait_for(lock, stop, GiveWayPolicy::ask_every, [&stop] { return stop.stop_requested(); }))
    set(policy.gives_way(fullness_(), looks_.load(std::memory_order_relaxed), GiveWayPolicy::Clock::now())
            ? SCHED_IDLE
            : SCHED_OTHER);
}

void GiveWay::set(int policy) {
  constexpr sched_param none{};
  if (policy == policy_ || sched_setscheduler(thread_, policy, &none) != 0) return;
  policy_ = policy;
  if (policy == SCHED_OTHER && !set_nice(thread_, nice_ - nicer_to_itself)) set_nice(thread_, nice_);
}

}  // namespace tcpwhy::trace
