// Bytes that claim to be a recording, through what a person may be shown of it: the timeline, the findings, the text in both
// languages, the JSON, tcpdump's and strace's lines; of each input one of these, chosen by its bytes, for they are what takes the time. No escape
// sequence may come out, whatever went in. So much memory only that a few compressed bytes do not stand for a million events.
// libFuzzer: -max_len=8192
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/language.h"
#include "capfile/recording/recording_io.h"
#include "explain/explain.h"
#include "render/documents/json.h"
#include "render/reports/lab_report.h"
#include "render/reports/trace_report.h"
#include "render/strace/strace.h"
#include "render/tcpdump/tcpdump.h"

namespace {

using namespace tcpwhy;

enum class View : std::uint8_t { lab_report, trace_reports, json, tcpdump, strace };

void check_text(const std::string& text) {
  bool sound = true;  // one test at the end: texts are long, and the sanitizers watch each branch
  for (const char c : text) sound &= (c == '\n') | ((static_cast<unsigned char>(c) >= 0x20) & (c != 0x7f));
  TCPWHY_CHECK(sound);
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
  const std::span bytes(data, size);
  const auto read = capfile::decode(bytes, "fuzz", {.memory_bytes = 1U << 20U});
  if (!read) return 0;
  const std::size_t choice = std::hash<std::string_view>{}({reinterpret_cast<const char*>(data), size});
  const auto view = static_cast<View>(choice % 5);
  if (view == View::tcpdump) {
    for (const auto& recording : read->recordings) print_packets(recording);
    return 0;
  }
  if (view == View::strace) {
    for (const auto& recording : read->recordings) check_text(render::strace_log(recording));
    return 0;
  }
  const auto language = choice / 5 % 2 == 0 ? base::Language::en : base::Language::zh;
  std::vector<explain::Explained> explained;
  for (const auto& recording : read->recordings) explained.push_back(explain::explain(recording));
  if (view == View::lab_report) check_text(render::lab_report(explained, {.language = language}));
  if (view == View::json) check_text(render::json_report(explained, language));
  if (view == View::trace_reports)
    for (const auto& one : explained)
      check_text(render::trace_report(one, {.text = {.language = language}, .all = choice / 10 % 2 == 0}));
  return 0;
}
