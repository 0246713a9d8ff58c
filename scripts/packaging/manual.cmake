# What is written from the program's own words at build time, so that it cannot be out of
# date: manual pages in ${ML_MANUAL}, completions in ${ML_COMPLETIONS}.
find_program(ML_LUA lua5.4 REQUIRED)
find_program(ML_GZIP gzip REQUIRED)

set(ML_MANUAL ${CMAKE_BINARY_DIR}/manual)
file(GLOB_RECURSE written_from CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/lua/commands/*.lua ${CMAKE_CURRENT_LIST_DIR}/manual/*.lua)
add_custom_command(OUTPUT ${ML_MANUAL}.stamp
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${ML_MANUAL}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${ML_MANUAL}/man1 ${ML_MANUAL}/man3
  COMMAND ${ML_LUA} ${CMAKE_CURRENT_LIST_DIR}/manual/write.lua ${PROJECT_SOURCE_DIR}
          ${ML_MANUAL}
  COMMAND ${ML_GZIP} -9nr ${ML_MANUAL}
  COMMAND ${CMAKE_COMMAND} -E touch ${ML_MANUAL}.stamp
  DEPENDS ${written_from} ${PROJECT_SOURCE_DIR}/core/moonlatch.h
          ${CMAKE_CURRENT_LIST_DIR}/changelog
  COMMENT "Writing manual pages" VERBATIM)

set(ML_COMPLETIONS ${CMAKE_BINARY_DIR}/completions)
add_custom_command(OUTPUT ${ML_COMPLETIONS}.stamp
  COMMAND ${CMAKE_COMMAND} -E make_directory ${ML_COMPLETIONS}
  COMMAND moonlatch completion bash > ${ML_COMPLETIONS}/moonlatch
  COMMAND moonlatch completion zsh > ${ML_COMPLETIONS}/_moonlatch
  COMMAND moonlatch completion fish > ${ML_COMPLETIONS}/moonlatch.fish
  COMMAND ${CMAKE_COMMAND} -E touch ${ML_COMPLETIONS}.stamp
  DEPENDS moonlatch ${written_from}
  COMMENT "Writing completions" VERBATIM)
add_custom_target(manual ALL DEPENDS ${ML_MANUAL}.stamp ${ML_COMPLETIONS}.stamp)
