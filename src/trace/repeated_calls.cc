#include "trace/repeated_calls.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace tcpwhy::trace {

bool changes_nothing(const calls::CallRow& row, const calls::SyscallArguments& arguments, std::int64_t result) {
  using calls::Effect;
  switch (row.effect) {
    case Effect::receives: {
      // What was looked at stays where it is; descriptors that a message brings do not.
      const bool peeks = row.message_flags >= 0 && !row.takes_message &&
                         (arguments[static_cast<std::size_t>(row.message_flags)] & MSG_PEEK) != 0;
      return result <= 0 || peeks;
    }
    case Effect::sends:
    case Effect::accepts: return result < 0;
    case Effect::waits: return !row.only_on_tcp && !row.makes_descriptor;  // epoll_ctl() changes what is waited for
    case Effect::gets_option:
    case Effect::asks_address: return true;
    default: return false;
  }
}

bool RepeatedCalls::hold(const Call& call) {
  Place& place = place_of(call.key);
  if (place.key != call.key) end(place);
  place.key = call.key;
  auto lines = std::span(place.lines).first(place.used);
  const auto known = std::ranges::find_if(lines, [&](const Line& line) { return alike_(line.record, call.record); });
  if (known == lines.end()) {
    if (place.used == most_lines) end(place);
    Line& line = place.lines[place.used++];
    line.record.assign(call.record.begin(), call.record.end());
    line.times = 1, line.returned_ns = call.returned_ns;
    return false;
  }
  Line& line = *known;
  if (call.entered_ns > line.returned_ns + most_apart_ns) {
    let_go(line);
    line.times = 0;
  }
  if (++line.times <= told_first) {
    line.returned_ns = call.returned_ns;
    return false;
  }
  if (std::exchange(line.holds, true)) {
    if (line.run.count++ == 0) line.run.since_ns = line.entered_ns;
    line.run.until_ns = line.returned_ns;
  }
  line.record.assign(call.record.begin(), call.record.end());
  line.entered_ns = call.entered_ns, line.returned_ns = call.returned_ns;
  return true;
}

void RepeatedCalls::end(Place& place) {
  const std::size_t used = std::exchange(place.used, 0);
  for (Line& line : std::span(place.lines).first(used)) let_go(line);
}

void RepeatedCalls::let_go(Line& line) {
  const Run run = std::exchange(line.run, {});
  if (std::exchange(line.holds, false)) put_aside_(line.record, run);
}

}  // namespace tcpwhy::trace
