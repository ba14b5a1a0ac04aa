// What is wrong with the sockets of one moment, from what the kernel tells of each: `tcpwhy ps`. One table of rules; a rule looks at one
// socket (TIME-WAIT: at all of one destination), never at its past.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "explain/finding.h"
#include "recording/socket_facts.h"

namespace tcpwhy::explain {

using Milliseconds = std::chrono::duration<std::int64_t, std::milli>;

struct SocketRule {
  // What makes it worse.
  enum class Measure : std::uint8_t { nothing, milliseconds, retransmissions, percent_of_ports };
  struct Step {
    std::uint32_t from = 0;  // of the measure
    Severity severity = Severity::chat;
  };

  std::string_view id;  // stable: "close_wait", as JSON has it
  Severity severity;    // before the first step
  Measure measure = Measure::nothing;
  std::array<Step, 3> steps{};  // ascending; `from` 0: no step
  std::string_view when;        // said when all of these hold
  std::string_view rests_on;    // RFC section, kernel function
  // Places: {since}, {state}, {send_queue}, {receive_queue}, {backlog}, {room}, {unread}, {retransmissions}, {syns}, {next}; of TIME-WAIT
  // {count}, {local}, {remote}, {ports}.
  Text sentence;
  Text not_accepted{};                      // instead, where nobody has accepted the connection yet
  Text with_unread{};                       // behind it, where bytes are unread
  Text remedy{};                            // empty: nothing is to be done
  Severity remedied_from = Severity::chat;  // it is told from this severity on
};
std::span<const SocketRule> socket_rules();
// "note; warning from 10 s on"
std::string severity_words(const SocketRule& rule);

// One socket, and one thing that is wrong with it.
struct SocketFinding {
  const SocketRule* rule = nullptr;
  Severity severity = Severity::note;
  std::size_t socket = 0;  // index into SocketFacts::sockets
  // For at least so long; nothing where the kernel does not tell.
  std::optional<Milliseconds> since;
};

// TIME-WAIT entries towards one destination: each blocks one local port for it.
struct TimeWaits {
  const SocketRule* rule = nullptr;
  Severity severity = Severity::chat;
  wire::IpAddress local;
  wire::SocketAddress remote;
  std::size_t count = 0;
};

struct SocketsVerdict {
  std::vector<SocketFinding> findings;  // worst first; of the same severity, the longest first
  std::vector<TimeWaits> time_waits;    // most first
};
SocketsVerdict judge(const recording::SocketFacts& facts);

// "CLOSE-WAIT for 3 h 2 min: the peer has closed, this program has not". `facts`: those that were judged.
std::string say(const SocketFinding& finding, const recording::SocketFacts& facts, Language language);
std::string say(const TimeWaits& waits, const recording::SocketFacts& facts, Language language);

}  // namespace tcpwhy::explain
