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
  // {who}: the local side, {peer}, {first}: who closed first, {resetter}, {stays}: whose end lives on, {reason}; {detail}: in brackets, of
  // this one only.
  Text text;
  std::string_view when;  // said when all of these hold; empty: the reset reason of this id (reset_reasons.h)
  std::string_view rests_on;
};
std::span<const LifeRow> life_rows();

struct LifeVerdict {
  const LifeRow* row = nullptr;
  Closer first = Closer::nobody;  // who sent the first FIN or RST
  bool reset_by_peer = false;
  std::string reason;            // the kernel's, of the reset; may be empty
  std::string cause;             // of the reset, by the kernel's stack (SocketLife::reset_cause); may be empty
  Closer open = Closer::nobody;  // whose end lives on: local or remote
  OwnedText detail;
};

// `peer`: the other end's life; null where it is not on this machine or not known. One of the two is over.
LifeVerdict judge(const recording::SocketLife& life, const recording::SocketLife* peer);
// The row's words with the names put in. Escaped.
std::string words(const LifeVerdict& verdict, const std::string& who, const std::string& peer, Language language);
// The same with the part of each end and its process: "server nginx[812]", with its address where the process is not known; of who closed,
// the process that did.
std::string words(const LifeVerdict& verdict, const recording::SocketLife& life, const recording::SocketLife* peer,
                  Language language);
// The same with the part alone, so that many are told by one: "server closed first; in order".
std::string words_of_many(const LifeVerdict& verdict, bool opener, Language language);

}  // namespace tcpwhy::explain
