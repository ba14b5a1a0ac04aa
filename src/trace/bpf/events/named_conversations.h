// The conversations that the probe's records name, told while the records are only put aside.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "trace/bpf/program/protocol.h"
#include "trace/tracer.h"

namespace tcpwhy::trace {

// Each record costs a glance at one place: a socket that was looked at the last time its place was is known.
class NamedConversations {
 public:
  void look_at(std::span<const std::byte> record);
  // Those that were learnt since the last time, some of them again.
  void take(std::vector<Conversation>& told);

 private:
  struct Seen {
    std::uint64_t pointer = 0;
    std::uint16_t local_port = 0, remote_port = 0;
  };
  static constexpr std::size_t places = 4096;
  std::array<Seen, places> seen_{};
  std::vector<Conversation> learnt_;
};

}  // namespace tcpwhy::trace
