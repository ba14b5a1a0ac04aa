// What made a segment leave: a call, an arriving segment, a timer, the end of a process.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recording/event.h"

namespace tcpwhy::timeline {

// How we know. observed: the wire or the kernel shows it. derived: it follows from what was observed, and nothing else could
// have done it. assumed: the likeliest of several, which are named.
enum class Grade : std::uint8_t { observed, derived, assumed };
std::string_view name(Grade grade);

using recording::Trigger;
std::string_view name(Trigger trigger);  // in words: "process end"

enum class Timer : std::uint8_t {
  none,
  delayed_ack,
  retransmission,
  tail_loss_probe,
  syn_ack,
  zero_window_probe,
  keep_alive,
  pacing,
};
std::string_view name(Timer timer);
// By the id of a kernel cause: "retransmission_timer", "keep_alive_gave_up"; none for what is no timer.
Timer timer_of_kernel_cause(std::string_view id);

// How a cause is derived where the kernel's own word is missing: one row a rule, docs/CAUSES.md is held against it.
struct CauseRule {
  std::string_view id;        // "ack.of_fin_is_delayed"; stable, in JSON and tests
  std::string_view when;      // "chosen when all of these hold: ..."
  std::string_view rests_on;  // RFC section, kernel function
};
std::span<const CauseRule> cause_rules();

struct Cause {
  Trigger trigger = Trigger::unknown;
  Timer timer = Timer::none;
  // The call's entry, the provoking segment's arrival, or the process's end; for a timer, what started it.
  std::optional<recording::EventId> by;
  Grade grade = Grade::derived;
  std::string_view rule;                     // id in cause_rules(); "kernel" when observed
  std::vector<recording::EventId> evidence;  // what else speaks for it: counters, samples
  std::string_view or_else;                  // assumed: what else it may be
  // Observed: the SegmentCause event, and its name ("close.unread_data"): points into the recording.
  std::optional<recording::EventId> kernel;
  std::string_view kernel_name;
};

}  // namespace tcpwhy::timeline
