# Writes review_page.cpp: page_files() of review/page.h with the files of review/page/.
set(review_page_files index.html review.css review.js set.js rows.js face.js dialogs.js)
set(entries "")
foreach(file ${review_page_files})
  set(source ${CMAKE_CURRENT_LIST_DIR}/page/${file})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(READ ${source} text)
  string(REPLACE "index.html" "" path ${file})
  get_filename_component(type ${file} LAST_EXT)
  string(REPLACE "." "text/" type ${type})
  string(REPLACE "/js" "/javascript" type ${type})
  string(APPEND entries
         "    {\"/${path}\", \"${type}; charset=utf-8\", R\"__(${text})__\"},\n")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/review_page.cpp @ONLY CONTENT [[
#include "faceswap/review/page.h"

namespace faceswap {

std::span<const PageFile> page_files() {
  static constexpr PageFile files[] = {
@entries@  };
  return files;
}
}  // namespace faceswap
]])
