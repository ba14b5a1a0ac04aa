// Bytes that claim to be a recording, through everything that a person may be shown of it: the timeline, the findings, the text in both
// languages, the JSON, tcpdump's lines. No escape sequence may come out, whatever went in.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/check.h"
#include "capfile/recording_io.h"
#include "explain/questions.h"
#include "render/json.h"
#include "render/lab_report.h"
#include "render/tcpdump.h"

namespace {

using namespace tcpwhy;

void check_text(const std::string& text) {
  for (const char c : text) TCPWHY_CHECK(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
}

void print_packets(const recording::Recording& recording) {
  render::TcpdumpPrinter printer({});
  for (const auto& event : recording.events)
    if (const auto* packet = std::get_if<recording::Packet>(&event.what))
      check_text(printer
                     .print({recording.interfaces[packet->interface.value].link_type, packet->bytes,
                             packet->original_length, event.at})
                     .text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read = capfile::decode(std::span(data, size), "fuzz");
  if (!read) return 0;
  std::vector<explain::Explained> explained;
  for (const auto& recording : read->recordings) {
    explained.push_back(explain::explain(recording));
    print_packets(recording);
  }
  for (const auto language : {explain::Language::en, explain::Language::zh}) {
    check_text(render::lab_report(explained, {.language = language}));
    check_text(render::json_report(explained, language));
  }
  return 0;
}
