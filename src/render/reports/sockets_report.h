// The sockets of one moment: who has them, what is wrong with each, and what to do about it.
#pragma once

#include <cstddef>
#include <string>

#include "explain/rules/sockets.h"
#include "render/timeline/text.h"
#include "render/timeline/write_text.h"

namespace tcpwhy::render {

struct SocketsOptions {
  TextOptions text;
  bool all = false;     // healthy ones too, and each by itself
  std::size_t top = 0;  // no more findings than the first so many; 0: all
};
// `verdict` speaks of `facts`.
std::string sockets_report(const recording::SocketFacts& facts, const explain::SocketsVerdict& verdict,
                           const SocketsOptions& options);

// One JSON document (docs/JSON.md), piece by piece: it is many times as large as the facts.
void write_sockets_json(const recording::SocketFacts& facts, const explain::SocketsVerdict& verdict,
                        base::Language language, const WriteText& write);

}  // namespace tcpwhy::render
