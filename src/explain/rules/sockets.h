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
  // Where the other end or the listener is on this host: {peer}; of a listener {waiting}, {its_backlog}.
  Text sentence;
  Text not_accepted{};                      // instead, where nobody has accepted the connection yet
  Text answered{};                          // instead, where no retransmission or probe waits for an answer
  Text with_unread{};                       // behind it, where bytes are unread
  Text remedy{};                            // empty: nothing is to be done
  Severity remedied_from = Severity::chat;  // it is told from this severity on
};
std::span<const SocketRule> socket_rules();
// "note; warning from 10 s on"
std::string severity_words(const SocketRule& rule);

// One socket, and one thing that is wrong with it. Sockets are indices into SocketFacts::sockets.
struct SocketFinding {
  const SocketRule* rule = nullptr;
  Severity severity = Severity::note;
  std::size_t socket = 0;
  std::optional<std::size_t> peer;  // its other end, where that is on this host; of a hanging connect() the listener
  std::optional<std::size_t> because_of;  // another socket, whose finding explains this one
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

// Findings that say the same of sockets of the same processes with the same service, as one.
struct SocketGroup {
  const SocketRule* rule = nullptr;
  Severity severity = Severity::note;  // the worst one's
  std::vector<std::size_t> findings;   // never empty; indices into SocketsVerdict::findings, the worst first
  std::vector<std::size_t> effects;    // indices into SocketsVerdict::groups: what follows from this one, told under it
  bool is_effect = false;              // it stands under another
  bool server_side = false;            // somebody listens on its sockets' port; else their service is the other end
};

struct SocketsVerdict {
  std::vector<SocketFinding> findings;  // worst first; of the same severity, the longest first
  std::vector<TimeWaits> time_waits;    // most first
  std::vector<SocketGroup> groups;      // worst first; of the same severity, the most first
};
// Of the sockets that were asked for, in the light of all.
SocketsVerdict judge(const recording::SocketFacts& facts);

// "CLOSE-WAIT for 3 h 2 min: the peer has closed, this program has not". `facts`: those that were judged.
// Names of processes in it are as they say themselves: to be escaped.
std::string say(const SocketFinding& finding, const recording::SocketFacts& facts, Language language);
std::string say(const TimeWaits& waits, const recording::SocketFacts& facts, Language language);

}  // namespace tcpwhy::explain
