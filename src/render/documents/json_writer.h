// A JSON document, written piece by piece as nlohmann's dump(2) would write the whole: what is large (arrays of events, of segments) is
// never in memory at once. Not for other rooms.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "render/timeline/write_text.h"

namespace tcpwhy::render {

using Json = nlohmann::ordered_json;

// Objects and arrays are begun and ended in pairs; the outermost is an object, which finish() ends. A key is ASCII without quotes.
class JsonWriter {
 public:
  explicit JsonWriter(const WriteText& write);

  void member(std::string_view key, const Json& value);
  void begin_object(std::string_view key);
  void begin_array(std::string_view key);
  void element(const Json& value);  // of an array
  void begin_object();              // as an element of an array
  void end();                       // of the object or array that was begun last
  // The document's last line, and hands over what is left.
  void finish();

 private:
  struct Level {
    char closing;
    bool empty = true;
  };
  void next(std::string_view key);
  void open(char opening, char closing);
  void put(const Json& value);
  void hand_over_if_much();

  const WriteText& write_;
  std::vector<Level> levels_;
  std::string text_;
};

}  // namespace tcpwhy::render
