// For tests: a recording as it would be if its programs had sent something else, and what is found in it without its
// words. Evidence is what a call was asked for and returned, not what it carried: the same must be found.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "calls/names.h"
#include "calls/socket_options.h"
#include "explain/explain.h"
#include "recording/recording.h"
#include "wire/packet.h"

namespace tcpwhy::explain::testing {

// The text of a call with all that stands in quotes replaced, but for addresses: those are arguments.
inline std::string with_payload(std::string_view text, std::string_view payload) {
  std::string made;
  bool quoted = false, address = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
      continue;
    }
    if (text[i] == '"') {
      quoted = !quoted;
      address = quoted && (made.ends_with("inet_addr(") || made.ends_with("inet_pton(AF_INET6, "));
      if (quoted && !address) made.append("\"").append(payload);
      if (quoted && address) made += '"';
      if (quoted) continue;
    }
    if (!quoted || address) made += text[i];
  }
  return made;
}

// The bytes of segments too, as many as there were.
inline recording::Recording with_payload(const recording::Recording& recording, std::string_view payload) {
  recording::Recording made = recording;
  for (auto& event : made.events) {
    if (auto* entered = std::get_if<recording::CallEntered>(&event.what))
      entered->arguments = with_payload(entered->arguments, payload);
    if (auto* returned = std::get_if<recording::CallReturned>(&event.what))
      returned->detail = with_payload(returned->detail, payload);
    auto* packet = std::get_if<recording::Packet>(&event.what);
    if (packet == nullptr) continue;
    const auto link_type = made.interfaces[packet->interface.value].link_type;
    const auto dissected = wire::dissect(link_type, packet->bytes, packet->original_length);
    if (dissected.kind != wire::Dissection::tcp || dissected.segment.payload.empty()) continue;
    auto* const begin = packet->bytes.data() + (dissected.segment.payload.data() - packet->bytes.data());
    for (std::size_t i = 0; i < dissected.segment.payload.size(); ++i)
      begin[i] = static_cast<std::uint8_t>(payload[i % payload.size()]);
  }
  return made;
}

using Evidence = std::vector<std::uint32_t>;
struct Account {
  std::vector<std::tuple<std::string_view, timeline::Grade, Evidence>> findings;
  std::vector<std::tuple<timeline::Trigger, timeline::Timer, timeline::Grade, std::string_view, std::uint32_t>> causes;
  bool operator==(const Account&) const = default;
};

inline Account account_of(const recording::Recording& recording) {
  const auto explained = explain(recording);
  Account account;
  for (const auto& finding : explained.findings) {
    Evidence evidence;
    for (const auto id : finding.evidence) evidence.push_back(id.value);
    account.findings.emplace_back(finding.rule->id, finding.grade, evidence);
  }
  for (const auto& segment : explained.timeline.segments)
    account.causes.emplace_back(segment.cause.trigger, segment.cause.timer, segment.cause.grade, segment.cause.rule,
                                segment.cause.by.value_or(timeline::EventId{}).value);
  return account;
}

// The name of each flag, option and errno, and what else a spelling could be taken for.
inline std::vector<std::string> telling_words() {
  std::vector<std::string> words = {"l_onoff=1, l_linger=0",
                                    "TCP_QUICKACK, [1]",
                                    "TCP_LINGER2, [-1]",
                                    "cmsg_type=SCM_RIGHTS",
                                    "[ECONNRESET]",
                                    " = -1 EPIPE (Broken pipe)",
                                    "sa_handler=SIG_IGN",
                                    "SIG_BLOCK, [PIPE]",
                                    "sa_family=AF_UNSPEC",
                                    "F_DUPFD",
                                    "msg_len=7"};
  for (const auto& names :
       {calls::message_flags(), calls::shutdown_ways(), calls::ip_protocols(), calls::descriptor_commands()})
    for (const auto& named : names) words.emplace_back(named.name);
  for (const auto& option : calls::socket_options()) words.emplace_back(option.name);
  for (int error = 1; error < 134; ++error)
    if (const char* name = strerrorname_np(error)) words.emplace_back(name);
  return words;
}

// All of them as one payload.
inline std::string all_telling_words() {
  std::string all;
  for (const auto& word : telling_words()) all += word + "|";
  return all;
}

}  // namespace tcpwhy::explain::testing
