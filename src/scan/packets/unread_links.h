// Packets of link types that are not looked into: how many, and which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/language.h"
#include "base/result.h"
#include "wire/link_types.h"
#include "wire/packet.h"

namespace tcpwhy::scan {

class UnreadLinks {
 public:
  // Each packet that is read, of whatever link type.
  void count(wire::LinkType link_type) {
    ++of_;
    if (link_type != last_) [[unlikely]] {
      last_ = link_type;
      last_is_read_ = wire::is_read(link_type);
    }
    if (!last_is_read_) [[unlikely]]
      add(link_type);
  }

  [[nodiscard]] std::uint64_t packets() const { return packets_; }  // that are not looked into
  // "17 packets of a link type that is not known: DOCSIS (143)". Empty where there is none.
  [[nodiscard]] base::OwnedText in_words() const;
  // Where all packets are such: what is to be said instead of an answer.
  [[nodiscard]] base::Status status() const;

 private:
  // A capture can claim a thousand link types; beyond these they are counted only.
  static constexpr std::size_t most_types = 32;

  void add(wire::LinkType link_type);

  std::vector<std::pair<wire::LinkType, std::uint64_t>> by_type_;  // in order of appearance
  std::uint64_t packets_ = 0, of_ = 0;
  wire::LinkType last_ = wire::LinkType::ethernet;
  bool last_is_read_ = true;
};

}  // namespace tcpwhy::scan
