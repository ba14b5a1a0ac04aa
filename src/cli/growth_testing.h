// For tests: how the processor time of `tcpwhy read` grows with its input, for each shape of recording/testing/growing_shapes.h and
// each view.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "capfile/capture_builder.h"
#include "capfile/recording/recording_io.h"
#include "cli/output/form.h"
#include "recording/testing/growing_shapes.h"

namespace tcpwhy::cli::testing {

struct GrowthView {
  std::string_view name;
  bool of_captures, of_recordings;  // where it shows something of its own
  std::vector<std::string> arguments;
};

inline const std::vector<GrowthView>& growth_views() {
  static const std::vector<GrowthView> views = [] {
    std::vector<GrowthView> all = {
        {"table", true, false, {"--table"}},
        {"stream", true, true, {"--stream", "0", "--all"}},
        {"stream json", true, false, {"--stream", "0", "-o", "json"}},
        {"tshark", true, false, {"--compat", "tshark"}},
        {"zeek", true, false, {"--compat", "zeek"}},
    };
    for (const FormRow& row : form_rows())
      if (row.form != Form::parquet)  // needs DuckDB's library
        all.push_back({row.name,
                       row.of_a_connection || row.of_records,
                       row.show != nullptr || row.of_records,
                       {"-o", std::string(row.name)}});
    return all;
  }();
  return views;
}

// A recording of a program as it is; a capture as other programs write them.
inline void write_growing(const recording::testing::GrowingShape& shape, std::uint32_t n, const std::string& path) {
  const recording::Recording recording = recording::testing::grow(shape, n);
  if (shape.has_calls) {
    const auto bytes = capfile::encode(std::span(&recording, 1));
    TCPWHY_CHECK(bytes.has_value());
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes->data()), static_cast<std::streamsize>(bytes->size()));
    return;
  }
  capfile::testing::CaptureBuilder builder;
  builder.pcap_header(0xa1b23c4d, 101);
  for (const auto& event : recording.events) {
    const auto& packet = std::get<recording::Packet>(event.what);
    const auto ns = base::to_ns(event.at);
    const std::string bytes(packet.bytes.begin(), packet.bytes.end());
    builder.pcap_packet(static_cast<std::uint32_t>(ns / 1'000'000'000), static_cast<std::uint32_t>(ns % 1'000'000'000),
                        bytes, packet.original_length);
  }
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(builder.bytes().data()),
             static_cast<std::streamsize>(builder.bytes().size()));
}

struct Spent {
  std::chrono::microseconds processor{};
  long memory_kb = 0;
  int status = 0;  // of wait(2)
};

inline Spent spend(const std::string& program, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  TCPWHY_CHECK(failed == 0);
  Spent spent;
  rusage usage{};
  TCPWHY_CHECK(wait4(pid, &spent.status, 0, &usage) == pid);
  const auto time = [](const timeval& t) { return std::chrono::microseconds(t.tv_sec * 1'000'000 + t.tv_usec); };
  spent.processor = time(usage.ru_utime) + time(usage.ru_stime);
  spent.memory_kb = usage.ru_maxrss;
  return spent;
}

inline Spent spend_on(const std::string& program, const GrowthView& view, const std::string& file) {
  std::vector<std::string> arguments = {"read", file};
  arguments.insert(arguments.end(), view.arguments.begin(), view.arguments.end());
  return spend(program, arguments);
}

}  // namespace tcpwhy::cli::testing
