#include "trace/give_way.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tcpwhy::trace {
namespace {

// On a processor that somebody else wants all the time it still runs every hundred milliseconds or so (a thirtieth of it, by the scheduler's
// weights; sched_prio_to_weight[]), in which the rest of a buffer that is a quarter full does not fill up.
constexpr int politely = 15;
constexpr int highest = 19;
constexpr double behind = 0.25;
constexpr double keeps_up = 0.125;
constexpr auto calm_enough = std::chrono::milliseconds(500);

}  // namespace

GiveWay::GiveWay() : thread_(static_cast<pid_t>(syscall(SYS_gettid))) {
  errno = 0;
  own_nice_ = nice_ = getpriority(PRIO_PROCESS, static_cast<id_t>(thread_));
  if (errno != 0) return;
  // Whoever may go below what he has may go back to it.
  may_ = setpriority(PRIO_PROCESS, static_cast<id_t>(thread_), own_nice_ - 1) == 0;
  if (may_) set(std::min(own_nice_ + politely, highest));
}

GiveWay::~GiveWay() {
  if (may_) set(own_nice_);
}

void GiveWay::set(int nice) {
  if (setpriority(PRIO_PROCESS, static_cast<id_t>(thread_), nice) == 0) nice_ = nice;
}

void GiveWay::found(double fullness, Clock::time_point now) {
  if (!may_) return;
  if (fullness > keeps_up)
    calm_since_.reset();
  else if (!calm_since_)
    calm_since_ = now;
  if (fullness > behind && nice_ != own_nice_) set(own_nice_);
  if (nice_ == own_nice_ && calm_since_ && now - *calm_since_ >= calm_enough)
    set(std::min(own_nice_ + politely, highest));
}

}  // namespace tcpwhy::trace
