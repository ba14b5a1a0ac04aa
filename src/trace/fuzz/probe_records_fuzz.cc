// Input: records of the kernel's half of the probe, each behind its length (two bytes, little-endian). Whatever they hold, they become
// events that refer to what is there, and lives of sockets of which there are no more than allowed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "recording/recording.h"
#include "trace/bpf/events/event_maker.h"
#include "trace/bpf/lives/life_tracker.h"

namespace {

using namespace tcpwhy;

constexpr std::size_t most_records = 500, most_sockets = 20;

// As the ring has them: each at a multiple of 8, and not a byte behind it.
std::vector<std::vector<std::byte>> split(std::span<const std::uint8_t> input) {
  std::vector<std::vector<std::byte>> records;
  while (input.size() >= 2 && records.size() < most_records) {
    const std::size_t length = std::min<std::size_t>(input[0] | input[1] << 8U, input.size() - 2);
    const auto bytes = std::as_bytes(input.subspan(2, length));
    records.emplace_back(bytes.begin(), bytes.end());
    input = input.subspan(2 + length);
  }
  return records;
}

void check(const recording::Recording& recording) {
  std::set<std::uint32_t> entered, returned;
  for (const auto& event : recording.events) {
    TCPWHY_CHECK(!event.actor.valid() || event.actor.value < recording.actors.size());
    if (const auto* call = std::get_if<recording::CallEntered>(&event.what))
      TCPWHY_CHECK(entered.insert(call->call).second);
    if (const auto* call = std::get_if<recording::CallReturned>(&event.what))
      TCPWHY_CHECK(returned.insert(call->call).second);
    for (const char letter : recording::message(event, nullptr))
      TCPWHY_CHECK(static_cast<unsigned char>(letter) >= 0x20);
  }
  for (const std::uint32_t call : returned) TCPWHY_CHECK(entered.contains(call));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const trace::KernelSymbols symbols({{0x1000, "tcp_v4_rcv"}, {0x2000, "tcp_sendmsg"}, {0x3000, "tcp_close"}});
  trace::EventMaker maker({.symbols = &symbols,
                           .reset_reasons = {"NOT_SPECIFIED", "TCP_ABORT_ON_DATA"},
                           .drop_reasons = {"NOT_SPECIFIED"},
                           .command = [](pid_t pid) { return "process " + std::to_string(pid); }});
  trace::LifeTracker lives({.reset_reasons = {"NOT_SPECIFIED"}, .most_sockets = most_sockets});
  recording::Recording recording;
  std::size_t ended = 0;
  const auto on_ended = [&](trace::EndedLife&&) { ++ended; };
  for (const auto& record : split({data, size})) {
    maker.add(record, recording);
    lives.add(record, {}, [](const recording::SocketLife&) {}, on_ended);
    TCPWHY_CHECK(lives.alive() <= most_sockets + 1);
  }
  lives.tell_waiting({}, on_ended, true);
  recording::sort_by_time(recording);
  check(recording);
  return 0;
}
