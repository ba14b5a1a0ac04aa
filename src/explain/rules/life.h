// How a connection ended and why, from what the kernel told of its socket, and of its peer's where that lives on this machine too.
// For watching many connections at once: one finding a connection, without a timeline.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "explain/texts/catalogue.h"
#include "recording/socket_life.h"

namespace tcpwhy::explain {

enum class Closer : std::uint8_t { nobody, local, remote, both };

// One row of the table of endings.
struct LifeRow {
  std::string_view id;  // as the findings' ids; stable
  bool abnormal;
  Text text;              // {who}: the local side, {peer}, {first}, {resetter}, {reason}
  std::string_view when;  // said when all of these hold; empty: the reset reason of this id (reset_reasons.h)
  std::string_view rests_on;
};
std::span<const LifeRow> life_rows();

struct LifeVerdict {
  const LifeRow* row = nullptr;
  Closer first = Closer::nobody;  // who sent the first FIN or RST
  bool reset_by_peer = false;
  std::string reason;  // the kernel's, of the reset; may be empty
  std::string cause;   // of the reset, by the kernel's stack (SocketLife::reset_cause); may be empty
};

// `peer`: the other end's life; null where it is not on this machine or not known.
LifeVerdict judge(const recording::SocketLife& life, const recording::SocketLife* peer);
// The row's words with the names put in. Escaped.
std::string words(const LifeVerdict& verdict, const std::string& who, const std::string& peer, Language language);
// The same with the commands of both ends, where they are known, else with their addresses.
std::string words(const LifeVerdict& verdict, const recording::SocketLife& life, const recording::SocketLife* peer,
                  Language language);

}  // namespace tcpwhy::explain
