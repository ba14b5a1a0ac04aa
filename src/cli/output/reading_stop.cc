#include "cli/output/reading_stop.h"

#include <chrono>
#include <cstring>

#include "base/format.h"
#include "cli/output/output.h"

namespace tcpwhy::cli {

void ReadingStop::begin(bool waits) {
  waits_ = waits;
  signals_.emplace();
}

bool ReadingStop::asks_to_stop() {
  if (stopped_) return true;
  if (given_up_) {
    stopped_ = true;
  } else if (signals_ && observe::StopOnSignals::requested()) {
    constexpr std::chrono::nanoseconds patience = std::chrono::seconds(1);
    const std::int64_t now = std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
    std::int64_t asked = 0;
    if (asked_ns_.compare_exchange_strong(asked, now)) asked = now;
    if (!waits_ || now - asked >= patience.count()) stopped_ = true;
  }
  return stopped_;
}

void ReadingStop::reading_is_over() {
  if (signals_) signals_->end_at_once_from_now_on();
}

int ReadingStop::report_unless_stopped(const base::Error& error) const { return stopped_ ? 0 : report(error); }

int ReadingStop::finish(int status) const {
  if (!stopped_by_signal()) return status;
  const int signal = observe::StopOnSignals::signal();
  warn(base::format({"not the whole capture: SIG{} ended the reading", "并非整个抓包：SIG{} 中止了读取"},
                    sigabbrev_np(signal)));
  observe::StopOnSignals::die_of_it();
  return 128 + signal;  // it is blocked
}

}  // namespace tcpwhy::cli
