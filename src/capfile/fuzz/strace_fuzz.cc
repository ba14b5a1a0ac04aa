// Bytes that claim to be a log of strace: the calls that come out hold the rules of recording_io.h, and those of one
// connection too.
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>

#include "base/check.h"
#include "capfile/formats/reader.h"
#include "capfile/strace/strace_log.h"

namespace {

using namespace tcpwhy;

void check(const recording::Recording& calls) {
  std::map<std::uint32_t, bool> returned;  // by call: whether it has
  for (const auto& event : calls.events)
    if (const auto* entered = std::get_if<recording::CallEntered>(&event.what))
      TCPWHY_CHECK(returned.emplace(entered->call, false).second);
  std::set<std::uint32_t> entered_by_now;
  base::WallTime before = capfile::earliest_time;
  for (const auto& event : calls.events) {
    TCPWHY_CHECK(event.at >= before && event.at <= capfile::latest_time);
    before = event.at;
    TCPWHY_CHECK(!event.actor.valid() || event.actor.value < calls.actors.size());
    if (const auto* entered = std::get_if<recording::CallEntered>(&event.what)) entered_by_now.insert(entered->call);
    if (const auto* back = std::get_if<recording::CallReturned>(&event.what)) {
      const auto found = returned.find(back->call);
      TCPWHY_CHECK(found != returned.end() && !found->second && entered_by_now.contains(back->call));
      found->second = true;
    }
    if (const auto* signal = std::get_if<recording::Signal>(&event.what))
      TCPWHY_CHECK(!signal->call || returned.contains(*signal->call));
    if (const auto* ended = std::get_if<recording::ProcessEnded>(&event.what))
      TCPWHY_CHECK(!ended->call || returned.contains(*ended->call));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto log = capfile::parse_strace(text, "fuzz", {.line_bytes = 4096, .memory_bytes = 1U << 22});
  if (!log) {
    TCPWHY_CHECK(log.error().kind == base::ErrorKind::unreadable);
    return 0;
  }
  check(log->calls);
  for (const auto& event : log->calls.events) {
    const auto* entered = std::get_if<recording::CallEntered>(&event.what);
    if (entered == nullptr || !entered->local || !entered->remote) continue;
    check(capfile::calls_between(log->calls, *entered->local, *entered->remote));
    break;
  }
  return 0;
}
