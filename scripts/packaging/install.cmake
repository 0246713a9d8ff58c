# What `cmake --install` puts where.  A component is a Debian package: library,
# development, program, module.  No installed file knows its prefix or the build tree.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
include(${CMAKE_CURRENT_LIST_DIR}/manual.cmake)

file(STRINGS ${PROJECT_SOURCE_DIR}/core/moonlatch.h line REGEX "^#define ML_VERSION ")
if(NOT line STREQUAL "#define ML_VERSION \"${PROJECT_VERSION}\"")
  message(FATAL_ERROR "moonlatch.h has not version ${PROJECT_VERSION}, which CMakeLists.txt has")
endif()

# Such a program works in the source tree only.
if(ML_LUA_FROM_DISK)
  install(CODE "message(FATAL_ERROR \"configured with ML_LUA_FROM_DISK: not for installing\")"
    ALL_COMPONENTS)
endif()

# The library, and who builds with it.
install(TARGETS moonlatch_shared EXPORT moonlatch
  LIBRARY COMPONENT library NAMELINK_COMPONENT development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set_target_properties(moonlatch_shared PROPERTIES EXPORT_NAME moonlatch)
install(FILES ${PROJECT_SOURCE_DIR}/core/moonlatch.h COMPONENT development
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${ML_ARCHIVE} COMPONENT development DESTINATION ${CMAKE_INSTALL_LIBDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/moonlatch)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/moonlatchConfig.cmake.in
  ${CMAKE_BINARY_DIR}/moonlatchConfig.cmake INSTALL_DESTINATION ${package_dir}
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/moonlatchConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/moonlatchConfig.cmake
  ${CMAKE_BINARY_DIR}/moonlatchConfigVersion.cmake
  COMPONENT development DESTINATION ${package_dir})
install(EXPORT moonlatch NAMESPACE moonlatch:: FILE moonlatchTargets.cmake
  COMPONENT development DESTINATION ${package_dir})

file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" ML_PREFIX_FROM_PC ${up})
foreach(name IN ITEMS moonlatch moonlatch-static)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/${name}.pc.in ${CMAKE_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/${name}.pc COMPONENT development
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

# The program, and what belongs to its users.
set(data ${CMAKE_INSTALL_DATADIR})
install(TARGETS moonlatch RUNTIME COMPONENT program)
install(FILES ${ML_COMPLETIONS}/moonlatch COMPONENT program
  DESTINATION ${data}/bash-completion/completions)
install(FILES ${ML_COMPLETIONS}/moonlatch.fish COMPONENT program
  DESTINATION ${data}/fish/vendor_completions.d)
if(ML_DEBIAN)
  set(zsh_dir ${data}/zsh/vendor-completions)
else()
  set(zsh_dir ${data}/zsh/site-functions)
endif()
install(FILES ${ML_COMPLETIONS}/_moonlatch COMPONENT program DESTINATION ${zsh_dir})
install(FILES ${PROJECT_SOURCE_DIR}/lua/meta/moonlatch_policy.lua COMPONENT program
  DESTINATION ${data}/moonlatch/meta)
install(DIRECTORY ${ML_MANUAL}/man1 COMPONENT program DESTINATION ${CMAKE_INSTALL_MANDIR})
install(DIRECTORY ${ML_MANUAL}/man3 COMPONENT development DESTINATION ${CMAKE_INSTALL_MANDIR})

# Texts, and examples: a policy, sources in Lua to write others after, hosts in C.
install(FILES ${PROJECT_SOURCE_DIR}/README.md COMPONENT program
  DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${PROJECT_SOURCE_DIR}/lua/README.md COMPONENT program
  DESTINATION ${CMAKE_INSTALL_DOCDIR}/lua)
install(FILES ${PROJECT_SOURCE_DIR}/scripts/demo.lua COMPONENT program
  DESTINATION ${data}/moonlatch/examples)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/lua/moonlatch/source COMPONENT program
  DESTINATION ${data}/moonlatch/examples)
foreach(host hello epoll libevent libuv pool host_source cron)
  install(FILES ${PROJECT_SOURCE_DIR}/tests/embed/${host}.c
    COMPONENT development DESTINATION ${data}/moonlatch/examples)
endforeach()

# The Lua module, where Lua 5.4 of the same prefix looks.  Under another prefix than the
# system's it finds the library from where it is itself.
set(module_dir ${CMAKE_INSTALL_LIBDIR}/lua/5.4)
if(NOT ML_DEBIAN)
  set_target_properties(moonlatch_lua PROPERTIES INSTALL_RPATH "$ORIGIN/../..")
endif()
install(TARGETS moonlatch_lua LIBRARY COMPONENT module DESTINATION ${module_dir})

if(ML_DEBIAN)
  include(${CMAKE_CURRENT_LIST_DIR}/debian.cmake)
else()
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE COMPONENT program
    DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()
